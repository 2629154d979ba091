/**
 * A worker: a child process that tokenizes and runs models. It handles one request at a time, in the order
 * of arrival, and keeps only the models that it was told to load.
 */
import path from 'node:path';
import { messageOf, PlimsollError } from '../../errors.js';
import { faultOfSizes } from '../../models/compile/forms/checksums.js';
import { bestLabels } from '../../models/run/best-labels.js';
import { classifyTokens, type TokenClassifier } from '../../models/run/classify-tokens.js';
import type { Gear } from '../../models/run/gear.js';
import { MappedSession } from '../../models/run/onnx-session.js';
import { scoresOf } from '../../models/run/scores.js';
import { TokenEncoder } from '../../models/run/token-encoder.js';
import { type Encoding, TextEncoder } from '../../models/run/tokenizer.js';
import { trimNativeHeap } from '../../system/native-heap.js';
import { adviseOutOfMemoryKiller, collectGarbage } from '../../system/own-process.js';
import { dieWithParent } from '../../system/process/parent-death.js';
import { readOwnMemory, readOwnPrivateBytes } from '../../system/process-memory.js';
import type {
  BatchResult,
  ModelHandle,
  NumberedRequest,
  RunRequest,
  StepResult,
  TokenizedText,
  TokenizeRequest,
  TokenizerHandle,
  WorkerAnswers,
  WorkerMessage,
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

function encoderOf({ files, maxTokens, choice, truncationSide }: TokenizerHandle) {
  return TextEncoder.open(files, maxTokens, { ...choice, truncationSide });
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

async function run(request: RunRequest): Promise<BatchResult> {
  const { model: id, inputs, functions, keep, bounds } = request;
  const model = models.get(id);
  if (model === undefined) throw new PlimsollError('INTERNAL', `model ${id} is not loaded here`);
  const { plan, scoring } = model.handle;
  if (plan.perToken === true) return runTokens(model, request);
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
      const applied = functions?.[row] ?? scoring;
      const count = keep?.[row];
      if (count === undefined) {
        return { scores: scoresOf(own, labelCount, applied)[0] ?? [], truncated };
      }
      const { labels, scores } = bestLabels(own, applied, count);
      return { labels, scores, truncated };
    }),
    tokenizeMs: tokenized - begun,
    runMs: ran - tokenized,
  };
}

async function runTokens(
  { handle, session, encoder }: OpenModel,
  { inputs, tokens, bounds }: RunRequest,
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
  return { rows: rows.map((row) => ({ scores: [], ...row })), ...times };
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

async function tokenize({
  tokenizer: handle,
  inputs,
  isWhole,
}: TokenizeRequest): Promise<readonly TokenizedText[]> {
  const encoder = await encoderOf(handle);
  const texts: TokenizedText[] = [];
  for (const input of inputs) {
    if (isWhole) {
      const details = await encoder.detailedWhole(input);
      texts.push({ ...details, truncated: details.ids.length > handle.maxTokens });
    } else {
      const { details, truncated } = await encoder.detailed(input);
      texts.push({ ...details, truncated });
    }
  }
  return texts;
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
        collectGarbage();
        trimNativeHeap();
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
process.on('message', (request: NumberedRequest) => {
  turn = turn.then(() => handle(request));
});

adviseOutOfMemoryKiller(OOM_SCORE_ADJUSTMENT);
collectGarbage();
trimNativeHeap();
tell({ type: 'ready', memory: await readOwnMemory() });
