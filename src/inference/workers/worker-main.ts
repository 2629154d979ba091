/**
 * A worker: a child process that tokenizes and runs models. It handles one request at a time, in the order
 * of arrival, and keeps only the models that it was told to load.
 */
import path from 'node:path';
import { messageOf, PlimsollError } from '../../errors.js';
import { faultOfSizes } from '../../models/compile/forms/checksums.js';
import type { ScoreFunction } from '../../models/intake/reading/scoring.js';
import { bestLabels } from '../../models/run/best-labels.js';
import { classifyTokens, type TokenClassifier } from '../../models/run/classify-tokens.js';
import type { Gear } from '../../models/run/gear.js';
import { MappedSession } from '../../models/run/onnx-session.js';
import { hasNotRun, type Logits, scoresOf } from '../../models/run/scores.js';
import type { BoundedRun } from '../../models/run/serving-plan.js';
import { TokenEncoder } from '../../models/run/token-encoder.js';
import type { Encoding, TextEncoder } from '../../models/run/tokenizer.js';
import { trimNativeHeap } from '../../system/native-heap.js';
import { adviseOutOfMemoryKiller, collectGarbage } from '../../system/own-process.js';
import { dieWithParent } from '../../system/process/parent-death.js';
import { readOwnMemory, readOwnPrivateBytes } from '../../system/process-memory.js';
import { encoderOf, KeptTokenizer } from './kept-tokenizer.js';
import type {
  BatchResult,
  ModelHandle,
  NumberedRequest,
  RowResult,
  RunRequest,
  StepResult,
  TokenizedText,
  TokenizeRequest,
  WorkerAnswers,
  WorkerMessage,
  WorkerNotice,
} from './protocol.js';

/** `oom_score_adj`: when memory runs out the kernel kills a worker before the main process. */
const OOM_SCORE_ADJUSTMENT = 500;

const WARM_UP_TEXT = 'A text of some words.';

interface OpenModel {
  readonly handle: ModelHandle;
  readonly session: MappedSession;
  readonly encoder: TextEncoder;
}

const models = new Map<string, OpenModel>();

/**
 * Tokenizers that were open, by model digest, until the next garbage collection: a model that is reloaded at once
 * need not parse its tokenizer again, and a cleanup still frees them.
 */
const lastEncoders = new Map<string, WeakRef<TextEncoder>>();

async function openEncoder({ digest, tokenizer }: ModelHandle): Promise<TextEncoder> {
  const last = lastEncoders.get(digest)?.deref();
  if (last !== undefined) return last;
  for (const [of, reference] of lastEncoders) {
    if (reference.deref() === undefined) lastEncoders.delete(of);
  }
  const encoder = await encoderOf(tokenizer);
  lastEncoders.set(digest, new WeakRef(encoder));
  return encoder;
}

const kept = new KeptTokenizer(giveBack);

function giveBack(): void {
  collectGarbage();
  trimNativeHeap();
}

async function load(handle: ModelHandle, gear: Gear): Promise<WorkerAnswers['load']> {
  const begun = performance.now();
  await close(handle.id);
  const session = await openSession(handle, gear);
  try {
    const encoder = await openEncoder(handle);
    models.set(handle.id, { handle, session, encoder });
  } catch (error) {
    await session.release();
    throw error;
  }
  return { loadMs: performance.now() - begun };
}

/** A busy model may keep what its batches take, so the hot gear always has ONNX Runtime's arena. */
async function openSession(handle: ModelHandle, gear: Gear): Promise<MappedSession> {
  const { arena, graphFile, files } = handle;
  // A mapped file that is too short would end the process when a page beyond its end is read.
  const fault = await faultOfSizes(path.dirname(graphFile), files);
  if (fault !== undefined) throw new PlimsollError('FORM_REPLACED', fault);
  return MappedSession.open(handle.graphFile, { ...handle, gear, arena: arena || gear === 'hot' });
}

async function close(id: string): Promise<void> {
  const model = models.get(id);
  models.delete(id);
  await model?.session.release();
}

/**
 * Moves a model to the hot gear. The new session runs once before it takes over, so that no caller pays for
 * its page faults. If it cannot be opened, the cold one stays.
 */
async function shift(id: string): Promise<void> {
  const model = models.get(id);
  if (model === undefined) throw new PlimsollError('INTERNAL', `model ${id} is not loaded here`);
  const { handle, encoder, session: cold } = model;
  const hot = await openSession(handle, 'hot');
  try {
    await hot.run(await encoder.encodeAll([WARM_UP_TEXT]), handle.plan);
  } catch (error) {
    await hot.release();
    throw error;
  }
  models.set(id, { handle, session: hot, encoder });
  await cold.release();
}

/** Ids of the last request that came, and of the last one that was recalled. */
let [lastId, recalledId] = [0, 0];

/** How a bundle runs; undefined for a batch, which is not recalled. */
function boundedRun({ id, bounds }: RunRequest & NumberedRequest): BoundedRun | undefined {
  return bounds && { ...bounds, isStopped: () => id <= recalledId };
}

async function run(request: RunRequest & NumberedRequest): Promise<BatchResult> {
  const { model: id, inputs, functions, keep } = request;
  const bounds = boundedRun(request);
  if (bounds?.isStopped() === true) {
    return { rows: inputs.map(() => null), tokenizeMs: 0, runMs: 0 };
  }
  const model = models.get(id);
  if (model === undefined) throw new PlimsollError('INTERNAL', `model ${id} is not loaded here`);
  const { plan, scoring } = model.handle;
  if (plan.perToken === true) return runTokens(model, request, bounds);
  const { labelCount } = plan;
  const begun = performance.now();
  const encodings = await model.encoder.encodeAll(inputs);
  refuseTooLong(encodings, model.handle);
  const tokenized = performance.now();
  const logits = await model.session.run(encodings, plan, bounds);
  const ran = performance.now();
  return {
    rows: encodings.map(({ truncated }, row) => {
      const own = logits.subarray(row * labelCount, (row + 1) * labelCount);
      if (hasNotRun(own)) return null;
      return { ...scored(own, functions?.[row] ?? scoring, keep?.[row]), truncated };
    }),
    tokenizeMs: tokenized - begun,
    runMs: ran - tokenized,
  };
}

/** @param count best labels that are wanted; undefined: all of them */
function scored(
  logits: Logits,
  applied: ScoreFunction,
  count: number | undefined,
): Pick<RowResult, 'scores' | 'labels'> {
  if (count === undefined) return { scores: scoresOf(logits, logits.length, applied)[0] ?? [] };
  const { labels, scores } = bestLabels(logits, applied, count);
  return { labels, scores };
}

async function runTokens(
  { handle, session, encoder }: OpenModel,
  { inputs, tokens }: RunRequest,
  bounds: BoundedRun | undefined,
): Promise<BatchResult> {
  const classifier: TokenClassifier = {
    ...{ session, plan: handle.plan, labels: handle.labels ?? [] },
    encoder: await TokenEncoder.open(encoder),
    check: (rows) => refuseTooLong(rows, handle),
  };
  const texts = inputs.map((input) => {
    if (typeof input === 'string') return input;
    const reason = 'a model that classifies tokens takes one text, not a pair and not token ids';
    throw new PlimsollError('INVALID_INPUT', reason);
  });
  const { rows, ...times } = await classifyTokens(classifier, texts, tokens, bounds);
  return { rows: rows.map((row) => row && { scores: [], ...row }), ...times };
}

/** A text that would take more memory than there is must not take the worker along. */
function refuseTooLong(encodings: readonly Encoding[], { memoryCap: cap }: ModelHandle): void {
  if (cap === undefined) return;
  const longest = encodings.reduce((most, { ids }) => Math.max(most, ids.length), 0);
  if (longest <= cap.tokens) return;
  const mb = (cap.bytes / 2 ** 20).toFixed(0);
  throw new PlimsollError(
    'INVALID_INPUT',
    `the text has ${longest} tokens; here ${cap.tokens} fit into memory and time (they were measured to take ${mb} MB). Send less, raise the load line and prepare the model anew, or set max_tokens in its plimsoll.json, so that texts are cut there`,
  );
}

async function tokenize(request: TokenizeRequest): Promise<readonly TokenizedText[]> {
  const { inputs, mostTokens, tokenizer } = request;
  const encoder = openEncoderOf(request) ?? (await kept.open(tokenizer));
  const texts: TokenizedText[] = [];
  let tokens = 0;
  try {
    for (const input of inputs) {
      const text = await tokenizedText(encoder, input, request);
      tokens += text.ids.length;
      if (tokens > mostTokens) {
        const message = `the ${inputs.length} inputs have more than ${mostTokens} tokens, and an answer has at most that many (request.max_answer_scores): send fewer or shorter ones in one request`;
        throw new PlimsollError('ANSWER_TOO_LARGE', message);
      }
      texts.push(text);
    }
  } finally {
    kept.used();
  }
  return texts;
}

async function tokenizedText(
  encoder: TextEncoder,
  input: string,
  { isWhole, tokenizer }: TokenizeRequest,
): Promise<TokenizedText> {
  if (isWhole !== true) {
    const { details, truncated } = await encoder.detailed(input);
    return { ...details, offsets: details.offsets.flat(), truncated };
  }
  const details = await encoder.detailedWhole(input);
  const truncated = details.ids.length > tokenizer.maxTokens;
  return { ...details, offsets: details.offsets.flat(), truncated };
}

/**
 * The tokenizer of a model that is open. Places of tokens take the native one: a model that serves without it would
 * keep it until it is closed.
 */
function openEncoderOf({ model, digest, tokenizer }: TokenizeRequest): TextEncoder | undefined {
  const open = models.get(model);
  if (open === undefined || open.handle.digest !== digest) return undefined;
  return tokenizer.choice.kind === 'native' ? open.encoder : undefined;
}

/** Does a step that gives memory back, and measures what it gave. */
async function measured(step: () => Promise<void>): Promise<StepResult> {
  const before = await readOwnPrivateBytes();
  await step();
  return { freedBytes: before - (await readOwnPrivateBytes()) };
}

function answer(request: NumberedRequest): Promise<WorkerAnswers[keyof WorkerAnswers]> {
  switch (request.type) {
    case 'load':
      return load(request.model, request.gear);
    case 'unload':
      return measured(() => close(request.model));
    case 'shift':
      return measured(() => shift(request.model));
    case 'run':
      return run(request);
    case 'tokenize':
      return tokenize(request);
    case 'collect':
      return measured(async () => {
        kept.drop();
        giveBack();
      });
    case 'read':
      return readOwnMemory();
    case 'ping':
      return Promise.resolve(null);
  }
}

async function handle(request: NumberedRequest): Promise<void> {
  const { id } = request;
  try {
    tell({ type: 'answer', id, value: await answer(request) });
  } catch (error) {
    const code = error instanceof PlimsollError ? error.code : 'INTERNAL';
    tell({ type: 'failed', id, code, message: messageOf(error) });
  }
}

function tell(message: WorkerMessage): void {
  // The main process may be gone; 'disconnect' then ends this one.
  if (process.connected) process.send?.(message);
}

// Ctrl-C reaches the whole process group, but the main process decides when a worker ends.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
dieWithParent();

let turn: Promise<void> = Promise.resolve();
process.on('message', (message: NumberedRequest | WorkerNotice) => {
  if (message.type === 'recall') {
    recalledId = lastId;
    return;
  }
  lastId = message.id;
  turn = turn.then(() => handle(message));
});

adviseOutOfMemoryKiller(OOM_SCORE_ADJUSTMENT);
giveBack();
tell({ type: 'ready', memory: await readOwnMemory() });
