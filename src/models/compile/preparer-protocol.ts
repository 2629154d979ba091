import type { ErrorCode } from '../../errors.js';
import type { LabelScheme } from '../intake/description.js';
import type { HotGear } from './mapped-form.js';

/** What a throw-away process is asked to do; passed as JSON in its first argument. */
export type PreparerJob =
  | {
      readonly job: 'write';
      readonly source: string;
      /** The graph to be mapped, below `source`. */
      readonly sourceGraph: string;
      readonly graphFile: string;
      readonly weightsFile: string;
    }
  | {
      /** `measure`: opening it and its largest batch. `shift`: what the hot gear costs and saves. */
      readonly job: 'measure' | 'shift';
      readonly source: string;
      readonly graphFile: string;
      readonly threads: number;
      readonly padTokenId: number;
      readonly maxTokens: number;
      readonly labelCount: number;
      readonly scheme: LabelScheme;
      /** Inputs and padded tokens of the largest batch that the scheduler makes. */
      readonly batchItems: number;
      readonly batchTokens: number;
      /** How it will be opened; known once it has been measured. */
      readonly arena: boolean;
    };

/** What it answers. */
export type PreparerMessage =
  | { readonly type: 'written'; readonly digest: string }
  | { readonly type: 'loaded'; readonly loadMs: number; readonly privateBytes: number }
  | {
      readonly type: 'ran';
      readonly arenaSpeedup: number;
      readonly privateBytes: number;
      readonly peakBytes: number;
    }
  | ({ readonly type: 'shifted' } & HotGear)
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string };
