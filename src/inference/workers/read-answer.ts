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
import type { ProcessMemory } from '../../system/process-memory.js';
import type {
  BatchResult,
  RowResult,
  StepResult,
  TokenizedText,
  WorkerAnswers,
} from './protocol.js';

const isStep = shapeOf<StepResult>({ freedBytes: isNumber });
const isPlaces = isList(isNumber);
/** Scores are many, and a worker that computes them wrong would not write texts: they are not looked at one by one. */
const isRow = shapeOf<RowResult>({
  scores: Array.isArray,
  labels: orMissing(Array.isArray),
  entities: orMissing(isList(isEntity)),
  truncated: isFlag,
});

/** What the answer to each kind of request has to be. */
const GUARDS: { readonly [T in keyof WorkerAnswers]: Guard<WorkerAnswers[T]> } = {
  load: shapeOf<WorkerAnswers['load']>({ loadMs: isNumber }),
  unload: isStep,
  shift: isStep,
  collect: isStep,
  run: shapeOf<BatchResult>({ rows: isList(isRow), tokenizeMs: isNumber, runMs: isNumber }),
  tokenize: isList(
    shapeOf<TokenizedText>({
      ids: isPlaces,
      tokens: isList(isText),
      offsets: isList(isPlaces),
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

/** The answer to a request of that type; undefined if it is none. */
export function readAnswer<T extends keyof WorkerAnswers>(
  type: T,
  value: unknown,
): WorkerAnswers[T] | undefined {
  const isAnswer: Guard<WorkerAnswers[T]> = GUARDS[type];
  return isAnswer(value) ? value : undefined;
}
