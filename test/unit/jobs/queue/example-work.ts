import type { JobRequest } from '../../../../src/contract/jobs.js';
import type {
  JobEvent,
  JobModel,
  JobQueue,
  JobState,
  JobWork,
  NewJob,
  PlanPiece,
  Shard,
  ShardResult,
  ShardState,
} from '../../../../src/jobs/queue/queue.js';

export const MODEL: JobModel = { id: 'spam', commit: null, dtype: 'fp32' };
export const SHARD_ROWS = 100;
const SHARD_BYTES = 1000;

/** Shard `index` of an input that is one plain file. */
export function shard(index: number): Shard {
  const start = index * SHARD_BYTES;
  return {
    index,
    file: { url: '/mails.jsonl', bytes: 1_000_000, version: '1' },
    range: { unit: 'bytes', start, end: start + SHARD_BYTES },
  };
}

export function job(id: string, changes: Partial<JobRequest> = {}): NewJob {
  return { id, request: { input: '/mails.jsonl', output: '/results', ...changes } };
}

export function resultOf({ index }: Shard, server: string): ShardResult {
  return {
    ...{ part: `part-${index}.jsonl`, bytes: 500, sha256: 'ab'.repeat(32) },
    ...{ rows: SHARD_ROWS, bad: 1, server, tookMs: 5 },
    model: MODEL,
  };
}

/** Work whose steps a test can replace. By default: plans `count` shards in pieces, and does each at once. */
export class ExampleWork implements JobWork {
  readonly server: string;
  readonly ran: number[] = [];
  readonly finished: ShardState[][] = [];
  plans = 0;
  whyNotTake: (job: JobState) => string | undefined = () => undefined;
  pin: JobWork['pin'] = async () => MODEL;
  plan: JobWork['plan'];
  run: JobWork['run'];
  finish: JobWork['finish'];

  constructor(server: string, count: number, piece = 3) {
    this.server = server;
    this.plan = () => {
      this.plans += 1;
      return pieces(count, piece);
    };
    this.run = async (_job, of) => {
      this.ran.push(of.index);
      return resultOf(of, server);
    };
    this.finish = async (_job, shards) => {
      const all: ShardState[] = [];
      for await (const one of shards) all.push(one);
      this.finished.push(all);
      return '/results/manifest.json';
    };
  }
}

export async function* pieces(count: number, size: number): AsyncGenerator<PlanPiece> {
  for (let at = 0; at < count; at += size) {
    const some = Math.min(size, count - at);
    const shards = Array.from({ length: some }, (_, n) => shard(at + n));
    yield { shards, files: 1, bytes: 1_000_000 };
  }
}

/** A promise that a test fulfils. */
export class Gate {
  readonly opened: Promise<void>;
  open: () => void = () => undefined;

  constructor() {
    this.opened = new Promise((resolve) => {
      this.open = resolve;
    });
  }
}

/** Waits until the gate opens, or the signal says to stop. */
export function until(gate: Gate, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    void gate.opened.then(() => {
      signal.removeEventListener('abort', abort);
      resolve();
    });
  });
}

/** The job, as soon as it is as asked. It is looked at whenever something happened to it. */
export function whenJob(
  queue: JobQueue,
  id: string,
  isSo: (state: JobState) => boolean,
): Promise<JobState> {
  return new Promise((resolve, reject) => {
    const look = async () => {
      const state = await queue.find(id);
      if (state === undefined || !isSo(state)) return;
      stop();
      resolve(state);
    };
    const onEvent = (event: JobEvent) => {
      if (event.job === id) look().catch(reject);
    };
    const stop = queue.onEvent(onEvent);
    look().catch(reject);
  });
}

export function whenEnded(queue: JobQueue, id: string): Promise<JobState> {
  return whenJob(queue, id, ({ endedAtMs }) => endedAtMs !== null);
}
