import type { ErrorCode } from '../../errors.js';
import type { Side } from '../../models/intake/reading/room.js';
import type { ScoreFunction } from '../../models/intake/reading/scoring.js';
import type { TokenizerFiles } from '../../models/intake/tokenizer-files.js';
import type { Entity, TokenOptions } from '../../models/run/entities.js';
import type { Gear } from '../../models/run/gear.js';
import type { RowInput } from '../../models/run/row-input.js';
import type { BatchBounds, ServingPlan, TokenizerChoice } from '../../models/run/serving-plan.js';
import type { ProcessMemory } from '../../system/process-memory.js';

/** What a worker needs to open a model. */
export interface ModelHandle {
  readonly id: string;
  /** Tells two forms of one model apart, also one from another that was made anew in its place. */
  readonly digest: string;
  readonly tokenizer: TokenizerHandle;
  readonly graphFile: string;
  /** Files beside the graph, itself included, with the sizes that they must have. */
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  readonly threads: number;
  /** Opened with ONNX Runtime's arena. */
  readonly arena: boolean;
  readonly plan: ServingPlan;
  /** Longer texts are refused: they would not fit into memory. */
  readonly memoryCap?: { readonly tokens: number; readonly bytes: number };
  readonly scoring: ScoreFunction;
  /** By index; for models that classify tokens. */
  readonly labels?: readonly string[];
}

/** Everything that a worker needs to tokenize as a model does. */
export interface TokenizerHandle {
  /** By their whole paths. */
  readonly files: TokenizerFiles;
  readonly choice: TokenizerChoice;
  readonly maxTokens: number;
  readonly truncationSide: Side | undefined;
}

/** Requests to a worker. It handles them in order and answers each with its id. */
export type WorkerRequest =
  | { readonly type: 'load'; readonly model: ModelHandle; readonly gear: Gear }
  | { readonly type: 'unload'; readonly model: string }
  /** Opens the model in the hot gear, then closes the cold one; batches that arrive meanwhile run after that. */
  | { readonly type: 'shift'; readonly model: string }
  | {
      readonly type: 'run';
      readonly model: string;
      readonly inputs: readonly RowInput[];
      /** Best labels to return of each input; all of them if undefined. */
      readonly keep?: readonly (number | undefined)[] | undefined;
      /** For each input what is applied to its logits; left out where all have the model's own. */
      readonly functions?: readonly ScoreFunction[] | undefined;
      /** For each input what is asked of a model that labels tokens. */
      readonly tokens?: readonly (TokenOptions | undefined)[] | undefined;
      /** A bundle: the inputs are of any lengths, and the worker batches them by their tokens, within these. It can be recalled. */
      readonly bounds?: BatchBounds | undefined;
    }
  /** Tokens of texts as a model sees them; the model itself need not be loaded. */
  | {
      readonly type: 'tokenize';
      readonly model: string;
      /** Of the model's mapped form; undefined if it has none. */
      readonly digest: string | undefined;
      readonly tokenizer: TokenizerHandle;
      readonly inputs: readonly string[];
      /** All tokens, also those beyond what the model takes. */
      readonly isWhole?: boolean;
      /** Tokens of all texts together: at the first one more the call ends with ANSWER_TOO_LARGE. */
      readonly mostTokens: number;
    }
  | { readonly type: 'collect' }
  | { readonly type: 'read' }
  | { readonly type: 'ping' };

export type RunRequest = Extract<WorkerRequest, { readonly type: 'run' }>;
export type TokenizeRequest = Extract<WorkerRequest, { readonly type: 'tokenize' }>;
export type NumberedRequest = WorkerRequest & { readonly id: number };

/**
 * What needs no answer, and is heeded at once. `recall`: bundles that were sent before it run to the end of their present batch, and are
 * answered with what is done.
 */
export interface WorkerNotice {
  readonly type: 'recall';
}

/** Outcome of one input. */
export interface RowResult {
  /** Score of each label, by index; with `labels` the scores of those; none with `entities`. */
  readonly scores: readonly number[];
  /** Indexes of the best labels, best first, if not all are returned. */
  readonly labels?: readonly number[];
  /** What a model that labels tokens found; there are no scores then. */
  readonly entities?: readonly Entity[];
  readonly truncated: boolean;
}

export interface BatchResult {
  /** Null: the input did not run, as its bundle was recalled. */
  readonly rows: readonly (RowResult | null)[];
  readonly tokenizeMs: number;
  readonly runMs: number;
}

/** What a model sees of a text. */
export interface TokenizedText {
  readonly ids: readonly number[];
  readonly tokens: readonly string[];
  /** Begin and end of each token in turn, in code points of the text; 0, 0 for special tokens. */
  readonly offsets: readonly number[];
  readonly truncated: boolean;
}

/** What a step in a worker gave back; negative if the process grew meanwhile. */
export interface StepResult {
  readonly freedBytes: number;
}

/** The answer to each kind of request. */
export interface WorkerAnswers {
  readonly load: { readonly loadMs: number };
  readonly unload: StepResult;
  readonly shift: StepResult;
  readonly run: BatchResult;
  readonly tokenize: readonly TokenizedText[];
  readonly collect: StepResult;
  readonly read: ProcessMemory;
  readonly ping: null;
}

/** Messages from a worker. */
export type WorkerMessage =
  | { readonly type: 'ready'; readonly memory: ProcessMemory }
  | {
      readonly type: 'answer';
      readonly id: number;
      readonly value: WorkerAnswers[keyof WorkerAnswers];
    }
  | {
      readonly type: 'failed';
      readonly id: number;
      readonly code: ErrorCode;
      readonly message: string;
    };
