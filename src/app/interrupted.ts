import { randomUUID } from 'node:crypto';
import { type Receipt, shownReceipt } from '../memory/receipt.js';
import type { Archive } from './archive.js';

/** A server that gave no sign of life for this long is gone; each gives one a minute. */
const GONE_AFTER_MS = 10 * 60_000;
/** Sessions that are read at once. */
const STEP = 200;

export interface InterruptedOptions {
  readonly archive: Archive;
  /** This server's name and those whose places in the data folder it has taken over. */
  readonly servers: readonly string[];
  /** Whether the session is one of this run. */
  readonly isOurs: (id: string) => boolean;
  /** Gives back what nobody needs, and measures it. */
  readonly cleanup: (session: string) => Promise<Receipt>;
}

/**
 * Closes the sessions that were open when their server died, each with the receipt of one cleanup that
 * runs now for all of them: their processes ended with them, so it says what was left to give back.
 *
 * @returns how many.
 */
export async function closeInterrupted(options: InterruptedOptions): Promise<number> {
  const { archive, servers, isOurs, cleanup } = options;
  let receipt: Receipt | undefined;
  const closed = new Set<string>();
  for (;;) {
    const found = await archive.abandoned(servers, Date.now() - GONE_AFTER_MS, STEP);
    const left = found.filter(({ id }) => !isOurs(id) && !closed.has(id));
    if (left.length === 0) return closed.size;
    for (const session of left) {
      closed.add(session.id);
      if (receipt === undefined) receipt = await cleanup(session.id);
      else {
        // Ids of receipts begin with their time; only the random part is another.
        const [kind, time] = receipt.id.split('_');
        const id = `${kind}_${time}_${randomUUID().slice(0, 8)}`;
        receipt = { ...receipt, id, session: session.id };
        archive.keepReceipt(receipt);
      }
      const endedAtMs = Date.now();
      const body = typeof session.body === 'object' ? session.body : null;
      const end = {
        state: 'interrupted',
        ended_at: new Date(endedAtMs).toISOString(),
        end_cause: 'interrupted',
        cleanup: shownReceipt(receipt),
      };
      archive.keepClosed(session, { ...body, ...end }, endedAtMs);
    }
  }
}
