import type { ErrorCode } from '../../errors.js';
import type { LabelScheme } from '../../models/intake/description.js';
import type { Gear } from '../../models/run/gear.js';
import type { ProcessMemory } from '../../system/process-memory.js';

/** Everything that a worker needs to open a model. */
export interface ModelTicket {
  readonly id: string;
  /** Tells two states of one model apart. */
  readonly digest: string;
  /** Folder with the tokenizer's files. */
  readonly directory: string;
  readonly graphFile: string;
  readonly threads: number;
  readonly padTokenId: number;
  /** Opened with ONNX Runtime's arena. */
  readonly arena: boolean;
  readonly maxTokens: number;
  readonly labelCount: number;
  readonly scheme: LabelScheme;
}

/** What the main process asks of a worker. Worked off in order; each is answered with its id. */
export type WorkerRequest =
  | { readonly type: 'load'; readonly model: ModelTicket; readonly gear: Gear }
  | { readonly type: 'unload'; readonly model: string }
  /** Opens it in the hot gear and lets go of the cold one; batches that come meanwhile run after that. */
  | { readonly type: 'shift'; readonly model: string }
  | { readonly type: 'run'; readonly model: string; readonly inputs: readonly string[] }
  | { readonly type: 'collect' }
  | { readonly type: 'read' };

export type NumberedRequest = WorkerRequest & { readonly id: number };

/** One input's outcome. */
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

/** What a step in a worker gave back; negative if the process grew meanwhile. */
export interface StepResult {
  readonly freedBytes: number;
}

/** What each kind of request is answered with. */
export interface WorkerAnswers {
  readonly load: { readonly loadMs: number };
  readonly unload: StepResult;
  readonly shift: StepResult;
  readonly run: BatchResult;
  readonly collect: StepResult;
  readonly read: ProcessMemory;
}

/** What a worker tells the main process. */
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
