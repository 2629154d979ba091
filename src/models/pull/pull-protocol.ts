import type { Wait } from './hub/waits.js';
import type { HubFailure } from './hub-error.js';
import type { HubSettings } from './hub-settings.js';

/** What a pull tells while it works. */
export type PullProgress =
  | {
      readonly kind: 'listed';
      readonly files: number;
      readonly commit: string;
      /** Bytes of all of them, those in the cache too; undefined where the hub does not tell. */
      readonly totalBytes: number | undefined;
    }
  | {
      readonly kind: 'bytes';
      readonly file: string;
      readonly bytes: number;
      readonly totalBytes: number;
    }
  | {
      readonly kind: 'file-done';
      readonly file: string;
      readonly bytes: number;
      readonly fromCache: boolean;
    }
  | {
      readonly kind: 'warning';
      readonly message: string;
    };

export interface PullOptions {
  readonly settings: HubSettings;
  /** `org/name[@revision]` */
  readonly model: string;
  /** The setting `models.dtype`. */
  readonly dtype: string;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: PullProgress) => void;
  /** How it waits before it asks a hub again. */
  readonly wait?: Wait;
}

/** A model in the cache. */
export interface PulledModel {
  readonly id: string;
  readonly revision: string;
  readonly commit: string;
  /** The snapshot: a model folder. */
  readonly folder: string;
}

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
