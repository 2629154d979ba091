import type { JobShard } from '../../contract/jobs.js';
import { shapeOf } from '../../contract/schema/shape.js';
import { isJobShard, type Receipt, sharedReceipt, shownReceipt } from '../../memory/receipt.js';
import type { Archive } from './archive.js';

/** A server without a heartbeat for this long is gone; each sends one a minute. */
const GONE_AFTER_MS = 10 * 60_000;
/** Sessions read at a time. */
const STEP = 200;

export interface InterruptedOptions {
  readonly archive: Archive;
  /** This server, and those whose slots in the data folder it has taken over. */
  readonly servers: readonly string[];
  /** Whether the session belongs to this run. */
  readonly isOurs: (id: string) => boolean;
  /** Whether other servers go on with it. */
  readonly isShared: (id: string) => Promise<boolean>;
  /** Runs a measured cleanup. */
  readonly cleanup: (session: string, job: JobShard | undefined) => Promise<Receipt>;
}

const hasJob = shapeOf<{ readonly job: JobShard }>({ job: isJobShard });

/** The shard that a stored session was for. */
function jobOf(body: unknown): JobShard | undefined {
  return hasJob(body) ? body.job : undefined;
}

/**
 * Closes the sessions that were open when their server died. One cleanup runs for all of them: their processes are
 * gone, so its receipt says what was left to free.
 *
 * @returns the number of sessions closed.
 */
export async function closeInterrupted(options: InterruptedOptions): Promise<number> {
  const { archive, servers, isOurs, isShared, cleanup } = options;
  let receipt: Receipt | undefined;
  const closed = new Set<string>();
  let shared = 0;
  for (;;) {
    const found = await archive.abandoned(servers, Date.now() - GONE_AFTER_MS, STEP);
    const left = found.filter(({ id }) => !isOurs(id) && !closed.has(id));
    if (left.length === 0) return closed.size - shared;
    for (const session of left) {
      closed.add(session.id);
      if (await isShared(session.id)) {
        shared += 1;
        continue;
      }
      const job = jobOf(session.body);
      if (receipt === undefined) receipt = await cleanup(session.id, job);
      else {
        receipt = sharedReceipt(receipt, { cause: receipt.cause, session: session.id, job });
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
