/**
 * A worker: a child process that tokenizes and runs models. It handles one request at a time, in the order
 * of arrival, and keeps only the models that it was told to load.
 */
import { messageOf, PlimsollError } from '../../errors.js';
import type { Gear } from '../../models/run/gear.js';
import { MappedSession, scoresOf } from '../../models/run/onnx-session.js';
import { TextEncoder } from '../../models/run/tokenizer.js';
import { trimNativeHeap } from '../../system/native-heap.js';
import { adviseOutOfMemoryKiller, collectGarbage } from '../../system/own-process.js';
import { dieWithParent } from '../../system/process/parent-death.js';
import { readOwnMemory, readOwnPrivateBytes } from '../../system/process-memory.js';
import type {
  BatchResult,
  ModelHandle,
  NumberedRequest,
  StepResult,
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

async function openEncoder({ digest, directory, maxTokens }: ModelHandle): Promise<TextEncoder> {
  const last = lastEncoders.get(digest)?.deref();
  if (last !== undefined) return last;
  for (const [of, reference] of lastEncoders) {
    if (reference.deref() === undefined) lastEncoders.delete(of);
  }
  const encoder = await TextEncoder.open(directory, maxTokens);
  lastEncoders.set(digest, new WeakRef(encoder));
  return encoder;
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
function openSession(handle: ModelHandle, gear: Gear): Promise<MappedSession> {
  const { arena } = handle;
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
    await hot.run([encoder.encode(WARM_UP_TEXT)], handle.labelCount);
  } catch (error) {
    await hot.release();
    throw error;
  }
  models.set(id, { handle, session: hot, encoder });
  await cold.release();
}

async function run(id: string, inputs: readonly string[]): Promise<BatchResult> {
  const model = models.get(id);
  if (model === undefined) throw new PlimsollError('INTERNAL', `model ${id} is not loaded here`);
  const { labelCount, scheme } = model.handle;
  const begun = performance.now();
  const encodings = inputs.map((input) => model.encoder.encode(input));
  const tokenized = performance.now();
  const logits = await model.session.run(encodings, labelCount);
  const ran = performance.now();
  const scores = scoresOf(logits, labelCount, scheme);
  return {
    rows: encodings.map(({ truncated }, row) => ({ scores: scores[row] ?? [], truncated })),
    tokenizeMs: tokenized - begun,
    runMs: ran - tokenized,
  };
}

/** Runs a step that frees memory, and measures what it freed. */
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
      return run(request.model, request.inputs);
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
