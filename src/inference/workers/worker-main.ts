/**
 * A worker: a child process that tokenizes and runs models. It does one thing at a time, in the
 * order of arrival, and keeps nothing but the models that it was told to load.
 */
import { messageOf, PlimsollError } from '../../errors.js';
import type { ScoreFunction } from '../../models/intake/reading/scoring.js';
import type { Gear } from '../../models/run/gear.js';
import { MappedSession } from '../../models/run/onnx-session.js';
import { scoresOf } from '../../models/run/scores.js';
import { type Encoding, TextEncoder } from '../../models/run/tokenizer.js';
import { trimNativeHeap } from '../../system/native-heap.js';
import { adviseOutOfMemoryKiller, collectGarbage } from '../../system/own-process.js';
import { readOwnMemory, readOwnPrivateBytes } from '../../system/process-memory.js';
import type {
  BatchResult,
  ModelTicket,
  NumberedRequest,
  StepResult,
  TokenizedText,
  TokenizerTicket,
  WorkerAnswers,
  WorkerMessage,
} from './protocol.js';

/** When memory runs out the kernel takes a worker before the main process. */
const BEFORE_THE_SERVER = 500;

const WARM_UP_TEXT = 'A text of some words.';

interface OpenModel {
  readonly ticket: ModelTicket;
  readonly session: MappedSession;
  readonly encoder: TextEncoder;
}

const models = new Map<string, OpenModel>();

/**
 * Tokenizers that were open, by the digest of their model, for as long as no garbage was collected: a model
 * that comes back at once is not parsed again, and a cleanup gives their memory back like any other.
 */
const lastEncoders = new Map<string, WeakRef<TextEncoder>>();

async function openEncoder({ digest, tokenizer }: ModelTicket): Promise<TextEncoder> {
  const last = lastEncoders.get(digest)?.deref();
  if (last !== undefined) return last;
  for (const [of, reference] of lastEncoders) {
    if (reference.deref() === undefined) lastEncoders.delete(of);
  }
  const encoder = await encoderOf(tokenizer);
  lastEncoders.set(digest, new WeakRef(encoder));
  return encoder;
}

function encoderOf({ files, maxTokens, choice, truncationSide }: TokenizerTicket) {
  return TextEncoder.open(files, maxTokens, { ...choice, truncationSide });
}

async function load(ticket: ModelTicket, gear: Gear): Promise<WorkerAnswers['load']> {
  const begun = performance.now();
  await close(ticket.id);
  const session = await openSession(ticket, gear);
  try {
    const encoder = await openEncoder(ticket);
    models.set(ticket.id, { ticket, session, encoder });
  } catch (error) {
    await session.release();
    throw error;
  }
  return { loadMs: performance.now() - begun };
}

/** What stays busy may hold what its batches take: the hot gear always has ONNX Runtime's arena. */
function openSession(ticket: ModelTicket, gear: Gear): Promise<MappedSession> {
  const { arena } = ticket;
  return MappedSession.open(ticket.graphFile, { ...ticket, gear, arena: arena || gear === 'hot' });
}

async function close(id: string): Promise<void> {
  const model = models.get(id);
  models.delete(id);
  await model?.session.release();
}

/**
 * Moves a model to the hot gear. The new session runs once before it takes over, so that no caller waits
 * for its pages; if it cannot be opened, the cold one stays.
 */
async function shift(id: string): Promise<void> {
  const model = models.get(id);
  if (model === undefined) throw new PlimsollError('INTERNAL', `model ${id} is not loaded here`);
  const { ticket, encoder, session: cold } = model;
  const hot = await openSession(ticket, 'hot');
  try {
    await hot.run(await encoder.encodeAll([WARM_UP_TEXT]), ticket.plan);
  } catch (error) {
    await hot.release();
    throw error;
  }
  models.set(id, { ticket, session: hot, encoder });
  await cold.release();
}

async function run(
  id: string,
  inputs: readonly string[],
  functions?: readonly ScoreFunction[],
): Promise<BatchResult> {
  const model = models.get(id);
  if (model === undefined) throw new PlimsollError('INTERNAL', `model ${id} is not loaded here`);
  const { plan, scoring } = model.ticket;
  const begun = performance.now();
  const encodings = await model.encoder.encodeAll(inputs);
  refuseTooLong(encodings, model.ticket);
  const tokenized = performance.now();
  const logits = await model.session.run(encodings, plan);
  const ran = performance.now();
  const scores = scoresOf(logits, plan.labelCount, functions ?? scoring);
  return {
    rows: encodings.map(({ truncated }, row) => ({ scores: scores[row] ?? [], truncated })),
    tokenizeMs: tokenized - begun,
    runMs: ran - tokenized,
  };
}

/** A text that would take more memory than there is must not take the worker along. */
function refuseTooLong(encodings: readonly Encoding[], { memoryCap: cap }: ModelTicket): void {
  if (cap === undefined) return;
  const longest = encodings.reduce((most, { ids }) => Math.max(most, ids.length), 0);
  if (longest <= cap.tokens) return;
  const mb = (cap.bytes / 2 ** 20).toFixed(0);
  throw new PlimsollError(
    'INVALID_INPUT',
    `the text has ${longest} tokens; here ${cap.tokens} fit into memory and time (they were measured to take ${mb} MB). Send less, raise the load line and prepare the model anew, or set max_tokens in its plimsoll.json, so that texts are cut there`,
  );
}

async function tokenize(
  ticket: TokenizerTicket,
  inputs: readonly string[],
): Promise<readonly TokenizedText[]> {
  const encoder = await encoderOf(ticket);
  const texts: TokenizedText[] = [];
  for (const input of inputs) {
    const { details, truncated } = await encoder.detailed(input);
    texts.push({ ...details, truncated });
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
      return run(request.model, request.inputs, request.functions);
    case 'tokenize':
      return tokenize(request.tokenizer, request.inputs);
    case 'collect':
      return measured(async () => {
        collectGarbage();
        trimNativeHeap();
      });
    case 'read':
      return readOwnMemory();
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
  // The main process may have gone meanwhile; 'disconnect' then ends this one.
  if (process.connected) process.send?.(message);
}

// Ctrl-C reaches the whole process group: the main process decides when a worker leaves.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
process.on('disconnect', () => process.exit(0));

let turn: Promise<void> = Promise.resolve();
process.on('message', (request: NumberedRequest) => {
  turn = turn.then(() => handle(request));
});

adviseOutOfMemoryKiller(BEFORE_THE_SERVER);
collectGarbage();
trimNativeHeap();
tell({ type: 'ready', memory: await readOwnMemory() });
