import { isEntity } from '../../contract/doors/entity.js';
import {
  type Guard,
  isFlag,
  isList,
  isNumber,
  isOneOf,
  isText,
  orMissing,
  shapeOf,
} from '../../contract/schema/shape.js';
import { ERRORS, type ErrorCode } from '../../errors.js';
import type { ProcessMemory } from '../../system/process-memory.js';
import type {
  BatchResult,
  RowResult,
  StepResult,
  TokenizedText,
  WorkerAnswers,
  WorkerMessage,
  WorkerRequest,
} from './protocol.js';

const isStep = shapeOf<StepResult>({ freedBytes: isNumber });
const isNumbers = isList(isNumber);
/** Scores are many, and a worker that computes them wrong would not write texts: they are not looked at one by one. */
const isRow = shapeOf<RowResult>({
  scores: Array.isArray,
  labels: orMissing(Array.isArray),
  entities: orMissing(isList(isEntity)),
  truncated: isFlag,
});
const isRowOrNull: Guard<RowResult | null> = (value) => value === null || isRow(value);

/** What the answer to each kind of request has to be. */
const GUARDS: { readonly [T in keyof WorkerAnswers]: Guard<WorkerAnswers[T]> } = {
  load: shapeOf<WorkerAnswers['load']>({ loadMs: isNumber }),
  unload: isStep,
  shift: isStep,
  collect: isStep,
  run: shapeOf<BatchResult>({ rows: isList(isRowOrNull), tokenizeMs: isNumber, runMs: isNumber }),
  tokenize: isList(
    shapeOf<TokenizedText>({
      ids: isNumbers,
      tokens: isList(isText),
      offsets: isNumbers,
      truncated: isFlag,
    }),
  ),
  read: shapeOf<ProcessMemory>({
    ...{ rssBytes: isNumber, pssBytes: isNumber, privateBytes: isNumber, sharedBytes: isNumber },
    ...{ privateCleanBytes: isNumber, swapBytes: isNumber },
    source: isOneOf(['smaps_rollup', 'status', 'statm', 'runtime']),
  }),
  ping: (value) => value === null,
};

/** What a worker answers to one request: of what shape the value is, the request tells. */
export type WorkerReply =
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown }
  | {
      readonly type: 'failed';
      readonly id: number;
      readonly code: ErrorCode;
      readonly message: string;
    };

const isFailed = shapeOf<Extract<WorkerReply, { type: 'failed' }>>({
  type: isOneOf(['failed']),
  id: isNumber,
  code: (value): value is ErrorCode => typeof value === 'string' && Object.hasOwn(ERRORS, value),
  message: isText,
});
const isReady = shapeOf<Extract<WorkerMessage, { type: 'ready' }>>({
  type: isOneOf(['ready']),
  memory: (value): value is ProcessMemory => typeof value === 'object' && value !== null,
});

/** A message from a worker; undefined if it is none: what a damaged process sends may be anything. */
export function readMessage(
  message: unknown,
): WorkerReply | Extract<WorkerMessage, { type: 'ready' }> | undefined {
  if (isFailed(message) || isReady(message)) return message;
  if (typeof message !== 'object' || message === null) return undefined;
  if (!('type' in message) || message.type !== 'answer') return undefined;
  if (!('id' in message) || typeof message.id !== 'number') return undefined;
  return { type: 'answer', id: message.id, value: 'value' in message ? message.value : undefined };
}

/** The answer to that request; undefined if it is none. */
export function readAnswer<R extends WorkerRequest>(
  request: R,
  value: unknown,
): WorkerAnswers[R['type']] | undefined {
  const isAnswer: Guard<WorkerAnswers[R['type']]> = GUARDS[request.type as R['type']];
  return isAnswer(value) && isWhole(request, value) ? value : undefined;
}

/** A batch has one row for each input, of which only a bundle may leave some out, and tokens are made of each text. */
function isWhole(request: WorkerRequest, answer: WorkerAnswers[keyof WorkerAnswers]): boolean {
  if (request.type !== 'run' && request.type !== 'tokenize') return true;
  const rows = answer !== null && 'rows' in answer ? answer.rows : answer;
  if (!Array.isArray(rows) || rows.length !== request.inputs.length) return false;
  return (request.type === 'run' && request.bounds !== undefined) || !rows.includes(null);
}
