import { readFile } from 'node:fs/promises';
import { InferenceSession, type Tensor } from 'onnxruntime-node';
import { messageOf, PlimsollError } from '../../errors.js';
import type { ValueFacts } from './bindings.js';
import { feedsOf } from './feeds.js';
import type { Gear } from './gear.js';
import { type Logits, logitsFrom } from './scores.js';
import { type BoundedRun, batchesOf, type ServingPlan } from './serving-plan.js';
import type { Encoding } from './tokenizer.js';

/** Initializers below this many bytes stay inside the graph file; mapping them gains nothing. */
const MIN_MAPPED_INITIALIZER_BYTES = '1024';
/** Log level of ONNX Runtime: errors only. */
const LOG_ERRORS = 3;

/**
 * How much of a graph ONNX Runtime rewrites. `extended`: operators are fused too, which may round elsewhere. `basic`: what is
 * constant or redundant goes, and every operator stays.
 */
export type OptimisationLevel = 'extended' | 'basic';

/**
 * Optimises a graph and writes it with its weights in a page-aligned file beside it, once for each gear:
 * pages that nobody reads take disk, no memory. Takes as much memory as the model is large: call it in a
 * process that ends afterwards.
 *
 * @param weightsFile name (not path) of the weights file, in the folder of `graphFile`.
 * @param dataFolder where the graph's external data lies, if not beside it; the graph itself must be small then
 * @throws PlimsollError MODEL_UNUSABLE
 */
export async function writeMappedGraph(
  source: string,
  graphFile: string,
  weightsFile: string,
  dataFolder?: string,
  level: OptimisationLevel = 'extended',
): Promise<void> {
  const elsewhere =
    dataFolder === undefined ? {} : { model_external_initializers_file_folder_path: dataFolder };
  // ONNX Runtime heeds the folder only for a graph that it is given as bytes.
  const graph = dataFolder === undefined ? source : await readFile(source);
  const session = await create(graph, {
    optimizedModelFilePath: graphFile,
    graphOptimizationLevel: level,
    logSeverityLevel: LOG_ERRORS,
    extra: {
      session: {
        optimized_model_external_initializers_file_name: weightsFile,
        optimized_model_external_initializers_min_size_in_bytes: MIN_MAPPED_INITIALIZER_BYTES,
        save_external_prepacked_constant_initializers: '1',
        ...elsewhere,
      },
    },
  });
  await session.release();
}

export interface SessionOptions {
  readonly threads: number;
  /**
   * ONNX Runtime's arena keeps what the largest batch took until the session is released; without it that goes back
   * after each run, but every tensor is mapped and faulted in anew. What this costs depends on the model, and is
   * measured for each (see `arenaSpeedup`).
   */
  readonly arena: boolean;
  /** Cold if it is left out. */
  readonly gear?: Gear;
}

/** An open model. Its weights are mapped, not copied, so that opening takes milliseconds. */
export class MappedSession {
  readonly #session: InferenceSession;

  private constructor(session: InferenceSession) {
    this.#session = session;
  }

  /**
   * Opens the mapped form. ONNX Runtime opens and runs a model on the thread that asks: while it does, this process
   * does nothing else.
   *
   * @throws PlimsollError MODEL_UNUSABLE
   */
  static async open(graphFile: string, options: SessionOptions): Promise<MappedSession> {
    const disablePrepacking = options.gear === 'hot' ? '0' : '1';
    const session = await create(graphFile, {
      graphOptimizationLevel: 'disabled',
      intraOpNumThreads: options.threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      enableCpuMemArena: options.arena,
      logSeverityLevel: LOG_ERRORS,
      // The keys are joined with dots: these are session.disable_prepacking and session.intra_op.allow_spinning.
      extra: {
        session: { disable_prepacking: disablePrepacking, intra_op: { allow_spinning: '0' } },
      },
    });
    return new MappedSession(session);
  }

  /**
   * Opens a graph as it was written, with nothing optimised: what its mapped form is compared with.
   *
   * @param dataFolder where its external data lies, if not beside it
   * @throws PlimsollError MODEL_UNUSABLE
   */
  static async openOriginal(graphFile: string, dataFolder?: string): Promise<MappedSession> {
    const elsewhere =
      dataFolder === undefined ? {} : { model_external_initializers_file_folder_path: dataFolder };
    const session = await create(dataFolder === undefined ? graphFile : await readFile(graphFile), {
      graphOptimizationLevel: 'disabled',
      intraOpNumThreads: 1,
      enableCpuMemArena: false,
      logSeverityLevel: LOG_ERRORS,
      extra: { session: { disable_prepacking: '1', ...elsewhere } },
    });
    return new MappedSession(session);
  }

  get inputs(): readonly ValueFacts[] {
    return this.#session.inputMetadata.map(valueFacts);
  }

  get outputs(): readonly ValueFacts[] {
    return this.#session.outputMetadata.map(valueFacts);
  }

  /**
   * Runs rows, in as many batches as they need: all at once where they may be neighbours.
   *
   * @param bounds for rows that were not chosen to run together
   * @returns logits, one row after the other: `plan.labelCount` of each row, or of each of its tokens without pads. Those of rows that
   *    did not run, as the run was stopped, are NaN.
   * @throws PlimsollError MODEL_UNUSABLE if the outputs are not of that shape, or not finite
   */
  async run(rows: readonly Encoding[], plan: ServingPlan, bounds?: BoundedRun): Promise<Logits> {
    const batches = batchesOf(
      rows.map(({ ids }) => ids.length),
      plan,
      bounds,
    );
    if (batches.length === 1) return this.#runBatch(rows, plan);
    const places = placesOf(rows, plan);
    const all = new Float64Array(places.at(-1) ?? 0).fill(Number.NaN);
    for (const [number, batch] of batches.entries()) {
      if (number > 0 && bounds?.isStopped() === true) break;
      const those = batch.flatMap((row) => rows[row] ?? []);
      const logits = await this.#runBatch(those, plan);
      const from = placesOf(those, plan);
      for (const [at, row] of batch.entries()) {
        all.set(logits.subarray(from[at], from[at + 1]), places[row]);
      }
    }
    return all;
  }

  /**
   * Runs rows of a model that classifies tokens.
   *
   * @returns for each row the logits of its tokens, special tokens included, pads left out
   * @throws PlimsollError MODEL_UNUSABLE
   */
  async runTokens(
    rows: readonly Encoding[],
    plan: ServingPlan,
    bounds?: BoundedRun,
  ): Promise<readonly Logits[]> {
    const logits = await this.run(rows, plan, bounds);
    const places = placesOf(rows, plan);
    return rows.map((_, row) => logits.subarray(places[row], places[row + 1]));
  }

  /**
   * The output of one run as it is.
   *
   * @throws PlimsollError MODEL_UNUSABLE if ONNX Runtime cannot run the graph on these rows
   */
  async runRaw(rows: readonly Encoding[], plan: ServingPlan, length?: number): Promise<Tensor> {
    const longest = rows.reduce((most, { ids }) => Math.max(most, ids.length), 1);
    const feeds = feedsOf(rows, length ?? plan.fixedLength ?? longest, plan);
    let outputs: InferenceSession.OnnxValueMapType;
    try {
      outputs = await this.#session.run(feeds, [plan.output]);
    } catch (error) {
      const reason = `ONNX Runtime cannot run the graph: ${withoutPaths(messageOf(error))}`;
      throw new PlimsollError('MODEL_UNUSABLE', reason);
    }
    const logits = outputs[plan.output];
    if (logits === undefined) throw new PlimsollError('MODEL_UNUSABLE', 'its graph gave no output');
    return logits;
  }

  async #runBatch(rows: readonly Encoding[], plan: ServingPlan): Promise<Logits> {
    const output = await this.runRaw(rows, plan);
    const data = logitsOf(output);
    const count = plan.fixedRows ?? rows.length;
    const length =
      plan.fixedLength ?? rows.reduce((most, { ids }) => Math.max(most, ids.length), 1);
    const shape = plan.perToken === true ? [count, length] : [count];
    const expected = shape.reduce((all, size) => all * size, plan.labelCount);
    if (data === undefined || data.length !== expected) {
      const dims = [...shape, plan.labelCount].join(', ');
      throw new PlimsollError(
        'MODEL_UNUSABLE',
        `its output is ${output.type} [${output.dims.join(', ')}] where numbers of shape [${dims}] are expected`,
      );
    }
    const logits =
      plan.perToken === true
        ? withoutPads(data, rows, length, plan)
        : data.subarray(0, rows.length * plan.labelCount);
    for (const value of logits) {
      if (!Number.isFinite(value)) {
        const reason = `its output holds ${value} for this input, which is no score`;
        throw new PlimsollError('MODEL_UNUSABLE', reason);
      }
    }
    return plan.endsIn === undefined ? logits : logitsFrom(logits, plan.endsIn);
  }

  /** Gives the session's memory back. */
  async release(): Promise<void> {
    await this.#session.release();
  }
}

/** Where the logits of each row begin, and where the last end. */
function placesOf(
  rows: readonly Encoding[],
  { labelCount, perToken }: ServingPlan,
): readonly number[] {
  const places = [0];
  for (const [row, { ids }] of rows.entries()) {
    places.push((places[row] ?? 0) + labelCount * (perToken === true ? ids.length : 1));
  }
  return places;
}

/** The logits of the rows' own tokens: what stands for pads means nothing, and need not be finite. */
function withoutPads(
  data: Logits,
  rows: readonly Encoding[],
  length: number,
  plan: ServingPlan,
): Logits {
  const places = placesOf(rows, plan);
  const kept = new Float32Array(places.at(-1) ?? 0);
  for (const [row, { ids }] of rows.entries()) {
    const first = row * length + (plan.paddingSide === 'left' ? length - ids.length : 0);
    const begin = first * plan.labelCount;
    kept.set(data.subarray(begin, begin + ids.length * plan.labelCount), places[row]);
  }
  return kept;
}

function valueFacts(value: InferenceSession.ValueMetadata): ValueFacts {
  return value.isTensor
    ? { name: value.name, type: value.type, shape: value.shape }
    : { name: value.name, type: 'no tensor', shape: [] };
}

/** The numbers of an output; undefined if they are of another type than logits ever have. */
export function logitsOf({ type, data }: Tensor): Logits | undefined {
  if (type === 'float16') return singles(data);
  return data instanceof Float32Array || data instanceof Float64Array ? data : undefined;
}

/** Half precision to single. Node.js before 24 has no type for it: ONNX Runtime then gives the bits. */
function singles(halves: Tensor['data']): Float32Array {
  if (!(halves instanceof Uint16Array)) return Float32Array.from(halves as Iterable<number>);
  return Float32Array.from(halves, (bits) => {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  });
}

async function create(
  model: string | Uint8Array,
  options: InferenceSession.SessionOptions,
): Promise<InferenceSession> {
  try {
    return await (typeof model === 'string'
      ? InferenceSession.create(model, options)
      : InferenceSession.create(model, options));
  } catch (error) {
    throw new PlimsollError(
      'MODEL_UNUSABLE',
      `ONNX Runtime refuses the graph: ${withoutPaths(messageOf(error))}`,
    );
  }
}

/** Callers learn what is wrong with a model, not where the server keeps it. */
function withoutPaths(message: string): string {
  return message.replaceAll(/(?:\/[^\s/:"']+){2,}\/?/g, '…').slice(0, 400);
}
