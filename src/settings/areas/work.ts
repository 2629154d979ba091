import { integer } from '../setting.js';

const HOUR_MS = 3_600_000;

/** The settings of workers, batches, the queue and requests. */
export const WORK_SETTINGS = {
  'worker.count': integer({
    default: ({ cpus }) => Math.max(1, Math.min(8, Math.floor(cpus))),
    defaultText: 'one for each CPU, at most 8',
    min: 1,
    max: 64,
    about: 'Worker processes.',
  }),
  'worker.threads': integer({
    default: 0,
    defaultText: 'CPUs ÷ workers',
    min: 0,
    max: 64,
    about: 'Threads of one inference session; 0 divides the CPUs among the workers.',
  }),
  'worker.start_timeout_ms': integer({
    default: 20_000,
    min: 500,
    max: 600_000,
    unit: 'ms',
    about: 'Longest time that a worker may take to start.',
  }),
  'worker.reply_timeout_ms': integer({
    default: 5000,
    min: 100,
    max: 600_000,
    unit: 'ms',
    about:
      'A worker that does not answer a message within this is ended and replaced, also while it is idle. A starved one gets four times as long; batches have limits of their own.',
  }),
  'worker.restart_backoff_ms': integer({
    default: 100,
    min: 10,
    max: 60_000,
    unit: 'ms',
    about: 'Wait before a dead worker is replaced; doubles with each early death, up to 100 times.',
  }),
  'worker.batch_timeout_ms': integer({
    default: 0,
    min: 0,
    max: HOUR_MS,
    unit: 'ms',
    about:
      'A worker that has not answered a batch after this is ended and replaced; 0: a third of request.deadline_ms, at least 3 s, so that its other inputs can be retried in time. Texts that take far longer than others of their length are stopped earlier.',
  }),
  'batch.max_items': integer({
    default: 16,
    min: 1,
    max: 1024,
    about: 'Inputs that run together at most.',
  }),
  'batch.max_characters': integer({
    default: 2048,
    min: 256,
    max: 16_777_216,
    unit: 'characters',
    about:
      'Inputs × longest input of one batch; an input is counted only up to what fits its model.',
  }),
  'queue.max_inputs': integer({
    default: 4096,
    min: 1,
    max: 1_000_000,
    about: 'Inputs that wait at most; more are refused with 503.',
  }),
  'queue.user_share': integer({
    default: 50,
    min: 1,
    max: 100,
    unit: '%',
    about:
      'Part of the queue that one user may hold; more is refused with 429. A request of a user who has none waiting is not.',
  }),
  'request.max_inputs': integer({
    default: 1024,
    min: 1,
    max: 100_000,
    about: 'Inputs in one request at most.',
  }),
  'request.max_answer_scores': integer({
    default: 262_144,
    min: 1,
    max: 100_000_000,
    unit: 'scores',
    about:
      'Inputs × labels of one answer at most (with top_k: inputs × top_k), its entities, or its tokens; more are refused with 413. One takes about 100 bytes while the answer is written.',
  }),
  'request.deadline_ms': integer({
    default: 30_000,
    min: 10,
    max: HOUR_MS,
    unit: 'ms',
    about: 'An answer that is not ready by then becomes 504.',
  }),
} as const;
