import type { ErrorCode } from '../../errors.js';
import type { LabelScheme } from '../../models/intake/description.js';
import type { Gear } from '../../models/run/gear.js';
import type { ProcessMemory } from '../../system/process-memory.js';

/** What a worker needs to open a model. */
export interface ModelHandle {
  readonly id: string;
  /** Tells two versions of one model apart. */
  readonly digest: string;
  /** Folder of the tokenizer's files. */
  readonly directory: string;
  readonly graphFile: string;
  readonly threads: number;
  readonly padTokenId: number;
  /** Open it with ONNX Runtime's memory arena. */
  readonly arena: boolean;
  readonly maxTokens: number;
  readonly labelCount: number;
  readonly scheme: LabelScheme;
}

/** Requests to a worker. It handles them in order and answers each with its id. */
export type WorkerRequest =
  | { readonly type: 'load'; readonly model: ModelHandle; readonly gear: Gear }
  | { readonly type: 'unload'; readonly model: string }
  /** Opens the model in the hot gear, then closes the cold one; batches that arrive meanwhile run after that. */
  | { readonly type: 'shift'; readonly model: string }
  | { readonly type: 'run'; readonly model: string; readonly inputs: readonly string[] }
  | { readonly type: 'collect' }
  | { readonly type: 'read' }
  | { readonly type: 'ping' };

export type NumberedRequest = WorkerRequest & { readonly id: number };

/** Outcome of one input. */
export interface RowResult {
  /** Score of each label, by index. */
  readonly scores: readonly number[];
  readonly truncated: boolean;
}

export interface BatchResult {
  readonly rows: readonly RowResult[];
  readonly tokenizeMs: number;
  readonly runMs: number;
}

/** Private bytes that a step gave back; negative if the process grew meanwhile. */
export interface StepResult {
  readonly freedBytes: number;
}

/** The answer to each kind of request. */
export interface WorkerAnswers {
  readonly load: { readonly loadMs: number };
  readonly unload: StepResult;
  readonly shift: StepResult;
  readonly run: BatchResult;
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
