import type { ErrorCode } from '../../errors.js';
import type { Dtype } from '../intake/dtype.js';
import type { Side } from '../intake/reading/room.js';
import type { TokenizerFiles } from '../intake/tokenizer-files.js';
import type { Verification } from '../intake/verification.js';
import type { Findings } from '../run/serving-plan.js';
import type { FormFile } from './forms/checksums.js';
import type { Footprint, HotGear, WrittenForm } from './mapped-form.js';
import type { Labelling } from './verify/judge.js';
import type { Verdict } from './verify/verdict.js';

/** What a graph is inspected with. */
export interface InspectOptions {
  readonly dtype: Dtype;
  /** Labels that the files name, if they do. */
  readonly labels: number | undefined;
  /** Whether the model classifies tokens, by its files. */
  readonly perToken: boolean;
  readonly padTokenId: number;
  readonly padTypeId: number;
  readonly positionOffset: number;
  readonly paddingSide: Side;
  readonly maxTokens: number;
}

/** What the longest text of a model may take. */
export interface RoomBudget {
  /** Private memory that one row may take at its peak. */
  readonly bytes: number;
  /** Time that one row may take. */
  readonly ms: number;
}

/** Compiles a model, and finds out how it has to be served. */
export interface WriteJob {
  readonly job: 'write';
  readonly source: string;
  /** The files that decide what the model answers, below `source`. */
  readonly files: readonly string[];
  /** Of these the graph to be mapped, and then its external data. */
  readonly weights: readonly string[];
  /** By their whole paths. */
  readonly tokenizer: TokenizerFiles;
  readonly graphFile: string;
  readonly weightsFile: string;
  readonly threads: number;
  readonly inspect: InspectOptions;
  readonly budget: RoomBudget;
  /** Comparing the tokenizers has ended the process: the native one serves without that. */
  readonly native?: 'crash';
}

/** `measure`: opening a compiled model and its largest batch. `shift`: what the hot gear costs and saves. */
export interface MeasureJob {
  readonly job: 'measure' | 'shift';
  readonly source: string;
  readonly tokenizer: TokenizerFiles;
  readonly graphFile: string;
  readonly threads: number;
  readonly findings: Findings;
  /** Inputs and padded tokens of the largest batch that the scheduler makes. */
  readonly batchItems: number;
  readonly batchTokens: number;
  /** How it will be opened; known once it has been measured. */
  readonly arena: boolean;
}

/** Computes the digest of a model's files. */
export interface DigestJob {
  readonly job: 'digest';
  readonly source: string;
  readonly files: readonly string[];
}

/** Compares the contents of a form's files with what was written, at the lowest priority. */
export interface CheckJob {
  readonly job: 'check';
  readonly directory: string;
  readonly files: readonly FormFile[];
}

/** Tries faster forms of a compiled model against it. */
export interface VerifyJob extends Pick<WriteJob, 'source' | 'weights' | 'tokenizer' | 'inspect'> {
  readonly job: 'verify';
  readonly verification: Verification;
  /** The compiled fp32 form. */
  readonly graphFile: string;
  /** Where the fast form goes; a folder that does not exist yet. */
  readonly fastFolder: string;
  readonly findings: Findings;
  readonly threads: number;
  /** Rows of the largest batch. */
  readonly batchItems: number;
  /** Time after which no further form is tried. */
  readonly budgetMs: number;
  readonly labelling: Labelling;
  /** Names of the labels: they tell what the model is asked. */
  readonly labels: readonly string[];
}

/** What a throw-away process is asked to do; passed as JSON in its first argument. */
export type PreparerJob = WriteJob | MeasureJob | DigestJob | CheckJob | VerifyJob;

/** What it answers. */
export type PreparerMessage =
  /** Tokenizers are compared from now on, or no longer. */
  | { readonly type: 'comparing'; readonly isOn: boolean }
  | ({ readonly type: 'written' } & WrittenForm)
  | { readonly type: 'digested'; readonly digest: string }
  /** `fault`: what is wrong; undefined if nothing is. */
  | { readonly type: 'checked'; readonly fault?: string }
  | { readonly type: 'loaded'; readonly loadMs: number; readonly privateBytes: number }
  | {
      readonly type: 'ran';
      readonly arenaSpeedup: number;
      readonly privateBytes: number;
      readonly peakBytes: number;
    }
  | ({ readonly type: 'shifted' } & HotGear)
  | {
      readonly type: 'verified';
      readonly verdict: Verdict;
      /** Of the fast form, below the folder of the fp32 form; none without one. */
      readonly files: readonly FormFile[];
    }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string };

/** What a full batch was measured to take. */
export interface FullBatch {
  readonly arenaSpeedup: number;
  readonly privateAfterBatchBytes: number;
  readonly peakBytes: number;
}

/** What opening was measured to take, and later its full batch; undefined if that could not be measured. */
export interface Measured extends Required<Pick<Footprint, 'loadMs' | 'privateAfterLoadBytes'>> {
  readonly full: Promise<FullBatch | undefined>;
}
