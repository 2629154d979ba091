import { readFile } from 'node:fs/promises';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { messageOf, PlimsollError } from '../../errors.js';
import type { LabelScheme } from '../intake/description.js';
import type { Gear } from './gear.js';
import type { Encoding } from './tokenizer.js';

/** Initializers below this many bytes stay inside the graph file; mapping them gains nothing. */
const MIN_MAPPED_INITIALIZER_BYTES = '1024';
const SUPPORTED_INPUTS = new Set(['input_ids', 'attention_mask', 'token_type_ids']);
/** Log level of ONNX Runtime: errors only. */
const LOG_ERRORS = 3;

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
): Promise<void> {
  const elsewhere =
    dataFolder === undefined ? {} : { model_external_initializers_file_folder_path: dataFolder };
  // ONNX Runtime heeds the folder only for a graph that it is given as bytes.
  const graph = dataFolder === undefined ? source : await readFile(source);
  const session = await create(graph, {
    optimizedModelFilePath: graphFile,
    graphOptimizationLevel: 'extended',
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

/** Scores of one input, by label index. */
export type Scores = readonly number[];

/** An open model. Its weights are mapped, not copied, so that opening takes milliseconds. */
export class MappedSession {
  readonly #session: InferenceSession;
  readonly #padTokenId: number;

  private constructor(session: InferenceSession, padTokenId: number) {
    this.#session = session;
    this.#padTokenId = padTokenId;
  }

  /**
   * Opens the mapped form. Cold by default. ONNX Runtime opens and runs a model on the thread that asks:
   * while it does, this process does nothing else.
   *
   * @param options.arena ONNX Runtime's arena keeps what the largest batch took until the session is
   * released; without it that goes back after each run, but every tensor is mapped and faulted in
   * anew. What this costs depends on the model, and is measured for each (see `arenaSpeedup`).
   *
   * @throws PlimsollError MODEL_UNUSABLE
   */
  static async open(
    graphFile: string,
    options: {
      readonly threads: number;
      readonly padTokenId: number;
      readonly arena: boolean;
      readonly gear?: Gear;
    },
  ): Promise<MappedSession> {
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
    const odd = session.inputNames.filter((name) => !SUPPORTED_INPUTS.has(name));
    if (odd.length > 0 || !session.inputNames.includes('input_ids')) {
      await session.release();
      throw new PlimsollError(
        'MODEL_UNUSABLE',
        `its inputs are ${session.inputNames.join(', ')}; those of a text classifier are ${[...SUPPORTED_INPUTS].join(', ')}`,
      );
    }
    return new MappedSession(session, options.padTokenId);
  }

  /**
   * Runs one batch, padded to its longest input.
   *
   * @returns raw logits, one row of `labelCount` for each input.
   * @throws PlimsollError MODEL_UNUSABLE if the outputs are not of that shape.
   */
  async run(batch: readonly Encoding[], labelCount: number): Promise<Float32Array> {
    const length = batch.reduce((most, { ids }) => Math.max(most, ids.length), 1);
    const shape = [batch.length, length];
    const outputs = await this.#session.run(this.#feeds(batch, length, shape));
    const logits = outputs[this.#session.outputNames[0] ?? ''];
    const data = logits?.type === 'float16' ? singles(logits.data) : logits?.data;
    if (!(data instanceof Float32Array) || data.length !== batch.length * labelCount) {
      throw new PlimsollError(
        'MODEL_UNUSABLE',
        `its output is ${logits?.type ?? 'missing'} [${logits?.dims.join(', ') ?? ''}] where float32 or float16 [${batch.length}, ${labelCount}] is expected`,
      );
    }
    if (data.some(Number.isNaN)) {
      throw new PlimsollError('MODEL_UNUSABLE', 'its output holds values that are not numbers');
    }
    return data;
  }

  /** Gives the session's memory back. */
  async release(): Promise<void> {
    await this.#session.release();
  }

  #feeds(batch: readonly Encoding[], length: number, shape: readonly number[]) {
    const feeds: Record<string, Tensor> = {};
    for (const name of this.#session.inputNames) {
      const values = new BigInt64Array(batch.length * length);
      // Ids fit 32 bits: writing the low words avoids one BigInt for each token.
      const words = new Int32Array(values.buffer);
      batch.forEach(({ ids }, row) => {
        for (let column = 0; column < length; column += 1) {
          const id = ids[column];
          const padded = name === 'input_ids' ? this.#padTokenId : 0;
          const present = name === 'input_ids' ? id : name === 'attention_mask' ? 1 : 0;
          words[(row * length + column) * 2] = id === undefined ? padded : (present ?? 0);
        }
      });
      feeds[name] = new Tensor('int64', values, shape);
    }
    return feeds;
  }
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

/**
 * Scores from logits: softmax where labels compete, else the logistic function of each.
 *
 * @param logits rows of `labelCount`.
 */
export function scoresOf(
  logits: Float32Array,
  labelCount: number,
  scheme: LabelScheme,
): readonly Scores[] {
  const rows: Scores[] = [];
  for (let start = 0; start < logits.length; start += labelCount) {
    const row = logits.subarray(start, start + labelCount);
    rows.push(scheme === 'single-label' ? softmax(row) : Array.from(row, logistic));
  }
  return rows;
}

/** exp(x − max) ÷ Σ exp(x − max): the maximum is taken out so that nothing overflows. */
function softmax(row: Float32Array): Scores {
  const most = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const powers = Array.from(row, (value) => Math.exp(value - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => rounded(power / sum));
}

function logistic(value: number): number {
  return rounded(1 / (1 + Math.exp(-value)));
}

/** Seven decimals: what single precision holds; more digits only make the messages longer. */
function rounded(score: number): number {
  return Math.round(score * 1e7) / 1e7;
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
