import type { HubFailure } from './hub-error.js';
import type { PulledModel, PullProgress } from './pull.js';

/** What a process that pulls a model is started with; the environment says the rest. */
export interface PullJob {
  /** `org/name[@revision]` */
  readonly model: string;
  /** The setting `models.dtype`. */
  readonly dtype: string;
}

/** What it tells. The last message is `pulled` or `failed`. */
export type PullMessage =
  | { readonly type: 'progress'; readonly progress: PullProgress }
  | { readonly type: 'pulled'; readonly pulled: PulledModel }
  | { readonly type: 'failed'; readonly failure: HubFailure; readonly message: string };
