import type { ScoreFunction } from '../models/intake/reading/scoring.js';
import type { ReadyModel } from '../models/library.js';
import type { TokenOptions } from '../models/run/entities.js';
import type { RowInput } from '../models/run/row-input.js';
import type { Expectation } from './queue/queue-gate.js';
import type { ClassedRow } from './queue/waiting-classes.js';
import type { BatchResult, RowResult } from './workers/protocol.js';

/** Results and timings of one request. */
export interface Answer {
  readonly rows: readonly RowResult[];
  /** Longest wait of one of its inputs for a worker. */
  readonly queueMs: number;
  /** Sums over the batches that its inputs were in. */
  readonly tokenizeMs: number;
  readonly runMs: number;
}

/** Keys of the inputs: equal keys mean equal text and model. */
export interface Keyed {
  /** One for each input. */
  readonly keys: readonly string[];
  /** What is applied to the logits, if it is not the model's own; the keys tell it apart. */
  readonly function?: ScoreFunction | undefined;
  /** What is asked of a model that labels tokens; the keys tell it apart. */
  readonly tokens?: TokenOptions | undefined;
  /** Place of each input in the caller's request, for messages; by default its own. */
  readonly positions?: readonly number[];
  /** Best labels to return for each input; all if undefined. Part of the keys if given. */
  readonly keep?: number | undefined;
  /** Called with each result as soon as a worker returns it, so that others can use it. */
  readonly onResult: (key: string, result: RowResult) => void;
}

/** One request whose inputs wait or run. */
export interface Request {
  readonly ready: ReadyModel;
  readonly keyed: Keyed | undefined;
  /** Of a job, which nobody waits for. */
  readonly isJob: boolean;
  /** Latency predicted by the gate on arrival; see {@link QueueGate.check}. */
  readonly expectation: Expectation;
  readonly enqueuedAtMs: number;
  readonly results: RowResult[];
  open: number;
  queueMs: number;
  tokenizeMs: number;
  runMs: number;
  settled: boolean;
  readonly rows: Row[];
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/** One input of a request. */
export interface Row extends ClassedRow {
  readonly request: Request;
  readonly index: number;
  readonly input: RowInput;
  /** Best labels to return; all if undefined. */
  readonly keep: number | undefined;
  /** Workers that ended while they ran it. */
  losses: number;
  alone: boolean;
}

/** A row as it enters the queue. One literal: an object that is put together by copying others becomes a hash table, ten times as large. */
export function newRow(
  request: Request,
  { model, user, size, index, input }: Pick<Row, 'model' | 'user' | 'size' | 'index' | 'input'>,
): Row {
  const { keyed, isJob } = request;
  return {
    model,
    form: request.ready.form.instance,
    user,
    size,
    request,
    index,
    input,
    isJob,
    keep: keyed?.keep,
    losses: 0,
    alone: false,
    key: keyed?.keys[index],
  };
}

/** Opens a request, which its answer, an error or its caller's leaving settles. */
export function openRequest(
  of: Pick<Request, 'ready' | 'keyed' | 'isJob' | 'expectation'>,
  inputs: number,
  signal: AbortSignal,
  on: {
    readonly onAbort: (reason: unknown) => void;
    readonly onAnswer: (tookMs: number) => void;
  },
): { readonly request: Request; readonly answer: Promise<Answer> } {
  const { promise, resolve, reject } = withResolvers<Answer>();
  const abort = () => on.onAbort(signal.reason);
  const left = () => signal.removeEventListener('abort', abort);
  const spent = { queueMs: 0, tokenizeMs: 0, runMs: 0 };
  const request: Request = {
    ...{ ...of, ...spent, results: [], rows: [], open: inputs, settled: false },
    enqueuedAtMs: performance.now(),
    resolve: (answer) => {
      left();
      on.onAnswer(performance.now() - request.enqueuedAtMs);
      resolve(answer);
    },
    reject: (error) => {
      left();
      reject(error);
    },
  };
  signal.addEventListener('abort', abort, { once: true });
  return { request, answer: promise };
}

/** `Promise.withResolvers`, which Node 20 has not. */
function withResolvers<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

/**
 * Gives the results of a batch to its rows and to those that share them.
 *
 * @returns rows that did not run, as their bundle was recalled
 */
export function answerBatch(
  batch: ReadonlyMap<Row, readonly Row[]>,
  { rows: results, tokenizeMs, runMs, tookMs }: BatchResult & { readonly tookMs: number },
): ReadonlyMap<Row, readonly Row[]> {
  const beganMs = performance.now() - tookMs;
  const requests = withJoined(batch).map((row) => row.request);
  for (const request of requests.length > 1 ? new Set(requests) : requests) {
    request.queueMs = Math.max(request.queueMs, beganMs - request.enqueuedAtMs);
    request.tokenizeMs += tokenizeMs;
    request.runMs += runMs;
  }
  const left = new Map<Row, readonly Row[]>();
  let index = 0;
  for (const [row, others] of batch) {
    const result = results[index++] ?? null;
    if (result === null) {
      left.set(row, others);
      continue;
    }
    if (row.key !== undefined) row.request.keyed?.onResult(row.key, result);
    answerRow(row, result);
    for (const other of others) answerRow(other, result);
  }
  return left;
}

/** Stores a row's result; the last one resolves the request. */
function answerRow({ request, index }: Row, result: RowResult): void {
  request.results[index] = result;
  request.open -= 1;
  if (request.open > 0 || request.settled) return;
  request.settled = true;
  const { results: rows, queueMs, tokenizeMs, runMs } = request;
  request.resolve({ rows, queueMs, tokenizeMs, runMs });
}

/** Rows of a batch, each followed by those that share its result. */
export function withJoined(rows: ReadonlyMap<Row, readonly Row[]>): readonly Row[] {
  const all: Row[] = [];
  for (const [row, others] of rows) {
    all.push(row);
    for (const other of others) all.push(other);
  }
  return all;
}

/** The input's place in the caller's request, which may have had more inputs. */
export function positionOf({ request, index }: Pick<Row, 'request' | 'index'>): number {
  return request.keyed?.positions?.[index] ?? index;
}
