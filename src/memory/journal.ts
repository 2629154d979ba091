import type { JobShard } from '../contract/jobs.js';
import { messageOf } from '../errors.js';
import type { StepOutcome } from './effects.js';
import type { MemoryReader } from './reader.js';
import { newReceiptId, type Receipt, type ReceiptAction, type ReceiptKind } from './receipt.js';
import { figuresOf, type MemorySnapshot } from './snapshot.js';

/** A reading that falls by less than this has settled. */
const SETTLED_BYTES = 256 * 1024;
const SETTLE_STEP_MS = 10;
/** A receipt is kept for days, and shown: the log has the rest of a reason. */
const MOST_REASON_CHARACTERS = 200;

export interface JournalOptions {
  readonly reader: MemoryReader;
  /** Longest wait for readings to stop falling. */
  readonly settleMs: number;
  readonly keepReceipt: (receipt: Receipt) => void;
}

/** Heading of a receipt, read when the work has ended. */
export interface ReceiptHead {
  readonly kind: ReceiptKind;
  readonly cause: string;
  readonly session?: string | null;
  readonly job?: JobShard | undefined;
}

/** The actions of one receipt, collected as they happen. */
export class ActionList {
  readonly actions: ReceiptAction[] = [];

  /** Runs a step and records one action for each outcome, each with the duration of the whole step. */
  async step(
    action: string,
    names: { readonly model?: string; readonly worker?: string },
    take: () => Promise<readonly StepOutcome[]>,
  ): Promise<readonly StepOutcome[]> {
    const begun = performance.now();
    const outcomes = await take();
    const durationMs = performance.now() - begun;
    for (const outcome of outcomes) this.actions.push({ action, ...names, ...outcome, durationMs });
    return outcomes;
  }

  /**
   * Runs work, and records as an action that it failed: what else the receipt is about goes on.
   *
   * @returns what it failed with, for whoever has to tell it; undefined if it succeeded
   */
  async attempt(
    action: string,
    names: { readonly worker?: string },
    work: () => Promise<void>,
  ): Promise<{ readonly error: unknown } | undefined> {
    const begun = performance.now();
    try {
      await work();
      return undefined;
    } catch (error) {
      const durationMs = performance.now() - begun;
      const failed = `failed: ${action}: ${messageOf(error).slice(0, MOST_REASON_CHARACTERS)}`;
      this.actions.push({ action: failed, ...names, durationMs, freedBytes: 0 });
      return { error };
    }
  }
}

/** Writes receipts: memory before, the actions, memory after. */
export class ReceiptJournal {
  readonly #options: JournalOptions;

  constructor(options: JournalOptions) {
    this.#options = options;
  }

  /** Reads, runs the work, waits until readings have settled, and keeps the receipt. */
  async record(head: ReceiptHead, work: (list: ActionList) => Promise<void>): Promise<Receipt> {
    const { keepReceipt } = this.#options;
    const startedAtMs = Date.now();
    const begun = performance.now();
    const before = figuresOf(await this.#read());
    const list = new ActionList();
    await work(list);
    const after = figuresOf(await this.#readSettled());
    const receipt: Receipt = {
      id: newReceiptId(startedAtMs),
      kind: head.kind,
      cause: head.cause,
      session: head.session ?? null,
      job: head.job,
      startedAtMs,
      durationMs: performance.now() - begun,
      before,
      after,
      actions: list.actions,
    };
    keepReceipt(receipt);
    return receipt;
  }

  /** Keeps the receipt of work that was not done in time: what was left out stands among its actions. */
  async leftOut(head: ReceiptHead, waitedMs: number, what: string): Promise<Receipt> {
    const figures = figuresOf(await this.#read());
    const startedAtMs = Date.now() - waitedMs;
    const receipt: Receipt = {
      ...{ id: newReceiptId(startedAtMs), kind: head.kind, cause: head.cause },
      ...{ session: head.session ?? null, startedAtMs, durationMs: waitedMs },
      ...{ before: figures, after: figures },
      actions: [{ action: `left out: ${what}`, durationMs: waitedMs, freedBytes: 0 }],
    };
    this.#options.keepReceipt(receipt);
    return receipt;
  }

  /** Memory must be freed even if it cannot be read now: the last reading then stands in. */
  async #read(): Promise<MemorySnapshot> {
    const { reader } = this.#options;
    try {
      return await reader.read();
    } catch (error) {
      if (reader.last === undefined) throw error;
      return reader.last;
    }
  }

  async #readSettled(): Promise<MemorySnapshot> {
    const { settleMs } = this.#options;
    const until = performance.now() + settleMs;
    let snapshot = await this.#read();
    for (;;) {
      const before = figuresOf(snapshot).privateBytes;
      if (performance.now() >= until) return snapshot;
      await new Promise((resolve) => setTimeout(resolve, SETTLE_STEP_MS));
      snapshot = await this.#read();
      if (before - figuresOf(snapshot).privateBytes < SETTLED_BYTES) return snapshot;
    }
  }
}
