import type { Receipt } from '../memory/receipt.js';
import type { SessionView } from './session.js';

/** Whether an open session still uses the model. */
export type StillUsed = (model: string) => boolean;

export interface CleanupOptions {
  /**
   * Frees what no open session needs, and measures that.
   *
   * @param isAwaited whether a caller waits for the receipt: it then goes before other work on memory.
   */
  readonly run: (
    session: SessionView,
    stillUsed: StillUsed,
    isAwaited: boolean,
  ) => Promise<Receipt>;
  /** A receipt of its own for a session that was cleaned up together with another one. */
  readonly share: (receipt: Receipt, session: SessionView) => Receipt;
}

interface Member {
  readonly session: SessionView;
  /** With null where the cleanup failed and the first of them was told why. */
  readonly resolve: (receipt: Receipt | null) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The cleanups after sessions. Sessions that end by themselves share: while one of their cleanups runs, those that
 * end meanwhile gather for the next. So a flood of them makes one cleanup at a time, and it frees as much.
 */
export class SessionCleanups {
  readonly #options: CleanupOptions;
  #gathering: Member[] = [];
  #isRunning = false;

  constructor(options: CleanupOptions) {
    this.#options = options;
  }

  /** Cleans up after one session at once, because a caller waits for that. */
  own(session: SessionView, stillUsed: StillUsed): Promise<Receipt> {
    return this.#options.run(session, stillUsed, true);
  }

  /** Cleans up after a session together with others that end by themselves. A failure is told to one of them. */
  shared(session: SessionView, stillUsed: StillUsed): Promise<Receipt | null> {
    return new Promise((resolve, reject) => {
      this.#gathering.push({ session, resolve, reject });
      if (!this.#isRunning) void this.#runAll(stillUsed);
    });
  }

  async #runAll(stillUsed: StillUsed): Promise<void> {
    this.#isRunning = true;
    // Sessions that end in the same turn of the event loop, as all do when the server stops, share the first.
    await Promise.resolve();
    while (this.#gathering.length > 0) {
      const [first, ...others] = this.#gathering;
      this.#gathering = [];
      if (first !== undefined) await this.#runFor(first, others, stillUsed);
    }
    this.#isRunning = false;
  }

  async #runFor(first: Member, others: readonly Member[], stillUsed: StillUsed): Promise<void> {
    try {
      const receipt = await this.#options.run(first.session, stillUsed, false);
      first.resolve(receipt);
      for (const { session, resolve } of others) resolve(this.#options.share(receipt, session));
    } catch (error) {
      first.reject(error);
      for (const { resolve } of others) resolve(null);
    }
  }
}
