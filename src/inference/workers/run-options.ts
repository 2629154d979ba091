import type { Gear } from '../../models/run/gear.js';
import type { RunRequest, WorkerAnswers } from './protocol.js';

/** How one batch runs. */
export interface RunOptions {
  /** The worker is killed if it has not answered after this; the same holds for opening the model. */
  readonly timeoutMs: number;
  /** CPU time, in ms of one thread, that the batch may use; `timeoutMs` if undefined. */
  readonly budgetMs?: number | undefined;
  readonly gear?: Gear;
  readonly functions?: RunRequest['functions'];
  readonly keep?: RunRequest['keep'];
  readonly tokens?: RunRequest['tokens'];
  readonly bounds?: RunRequest['bounds'];
  /** Expected run time; undefined while nothing was measured. See `BatchPrefetch`. */
  readonly expectedMs?: number;
  /** The worker may have its next batch at once if this one is expected to end within so long; see `BatchPrefetch`. */
  readonly prefetchMs?: number | undefined;
}

/** What became of a batch; times in ms. */
export type Ran = WorkerAnswers['run'] & {
  readonly loadMs: number | undefined;
  readonly tookMs: number;
};
