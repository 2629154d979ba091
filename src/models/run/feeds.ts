/** Tensors of a batch, as the inputs of a graph want them. */
import { Tensor } from 'onnxruntime-node';
import type { InputBinding, InputRole, InputType, ServingPlan } from './serving-plan.js';
import type { Encoding } from './tokenizer.js';

/**
 * The tensors of one batch.
 *
 * @param length tokens of each row; shorter ones are padded
 */
export function feedsOf(
  batch: readonly Encoding[],
  length: number,
  plan: ServingPlan,
): Record<string, Tensor> {
  const rows = plan.fixedRows ?? batch.length;
  const feeds: Record<string, Tensor> = {};
  for (const binding of plan.inputs) {
    // An array of numbers of 32 bits that the types below share or are made from: no token id is larger.
    const values = new Int32Array(rows * length);
    fill(values, batch, length, rows, binding.role, plan);
    const shape = binding.rank === 1 ? [length] : [rows, length];
    feeds[binding.name] = tensorOf(binding, values, shape);
  }
  return feeds;
}

function fill(
  values: Int32Array,
  batch: readonly Encoding[],
  length: number,
  rows: number,
  role: InputRole,
  plan: ServingPlan,
): void {
  const { padTokenId, padTypeId, paddingSide, positionOffset } = plan;
  const padding = role === 'ids' ? padTokenId : role === 'types' ? padTypeId : 0;
  for (let row = 0; row < rows; row += 1) {
    // A graph of a fixed number of rows gets copies of the last one for those that are missing.
    const encoding = batch[Math.min(row, batch.length - 1)];
    if (encoding === undefined) continue;
    const { ids, types } = encoding;
    const begin = row * length;
    const first = paddingSide === 'left' ? length - ids.length : 0;
    if (padding !== 0 && ids.length < length) values.fill(padding, begin, begin + length);
    for (let at = 0; at < ids.length; at += 1) {
      values[begin + first + at] =
        role === 'ids'
          ? (ids[at] ?? 0)
          : role === 'mask'
            ? 1
            : role === 'types'
              ? (types?.[at] ?? 0)
              : role === 'positions'
                ? positionOffset + at
                : role === 'global' && at === 0 && plan.perToken !== true
                  ? 1
                  : 0;
    }
  }
}

/** Bits of 0 and 1 in half precision; masks are all that ever is of that type. */
const HALF_ONE = 0x3c00;

function tensorOf({ type }: InputBinding, values: Int32Array, shape: readonly number[]): Tensor {
  switch (type) {
    case 'int64':
    case 'uint64':
      return new Tensor(type, widened(values, type), shape);
    case 'float16':
      return new Tensor(
        type,
        Uint16Array.from(values, (value) => (value === 0 ? 0 : HALF_ONE)),
        shape,
      );
    case 'bool':
      return new Tensor(type, Uint8Array.from(values, Number), shape);
    case 'int32':
      return new Tensor(type, values, shape);
    default:
      return new Tensor(type, new ARRAYS[type](values), shape);
  }
}

const ARRAYS: Readonly<
  Record<
    Exclude<InputType, 'int64' | 'uint64' | 'float16' | 'bool' | 'int32'>,
    new (
      values: Int32Array,
    ) => Tensor['data']
  >
> = {
  uint32: Uint32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  float32: Float32Array,
  float64: Float64Array,
};

/** Ids fit 32 bits: writing the low words avoids one BigInt for each token. */
function widened(values: Int32Array, type: 'int64' | 'uint64'): BigInt64Array | BigUint64Array {
  const wide =
    type === 'int64' ? new BigInt64Array(values.length) : new BigUint64Array(values.length);
  const words = new Int32Array(wide.buffer);
  for (let at = 0; at < values.length; at += 1) words[2 * at] = values[at] ?? 0;
  return wide;
}
