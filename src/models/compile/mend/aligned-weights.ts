/**
 * ONNX Runtime writes the weights of an optimised graph, and the same in the kernels' own layout (prepacked), one behind
 * the other. Behind a tensor of odd size, such as a table of positions, the rest lies at odd places, and kernels that read
 * prepacked weights with aligned instructions end the process (SIGSEGV). Here all of it is moved to aligned places.
 */
import { type FileHandle, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fieldsIn, message, withGraphs } from '../onnx/nested-graphs.js';
import { type Field, fieldsOf, stringsOf } from '../onnx/protobuf-reader.js';
import { concat, stringField } from '../onnx/protobuf-writer.js';

/** A cache line, and the widest vector register. */
const ALIGNMENT_BYTES = 64;
/** As ONNX Runtime places large tensors, so that each has pages of its own. */
const PAGE_BYTES = 4096;
const LARGE_BYTES = 1_048_576;
const COPIED_AT_ONCE = 4_194_304;
/** `MatMul+HASH|OFFSET;LENGTH;CHECKSUM|…`, beside the weight that it is of. */
const PREPACKED = /\|(\d+);(\d+);/g;

/** A part of the weights' file. */
interface Part {
  readonly offset: number;
  readonly length: number;
}

/**
 * Moves the weights of a written graph, if some lie at odd places.
 *
 * @returns whether anything was moved
 */
export async function alignWeights(graphFile: string, weightsFile: string): Promise<boolean> {
  const model = await readFile(graphFile);
  const parts = new Map<number, Part>();
  withGraphs(model, (fields) => {
    for (const field of fields) for (const part of partsOf(field)) parts.set(part.offset, part);
    return fields;
  });
  const ordered = [...parts.values()].sort((a, b) => a.offset - b.offset);
  if (ordered.every(({ offset }) => offset % ALIGNMENT_BYTES === 0)) return false;
  const places = placesOf(ordered);
  const weights = path.join(path.dirname(graphFile), weightsFile);
  await moveParts(weights, ordered, places);
  const moved = withGraphs(model, (fields) => fields.map((field) => withPlaces(field, places)));
  const beside = `${graphFile}.aligned`;
  await writeFile(beside, Buffer.concat(moved));
  await rename(beside, graphFile);
  return true;
}

/** The new offset of each part, by its old one. */
function placesOf(parts: readonly Part[]): ReadonlyMap<number, number> {
  const places = new Map<number, number>();
  let end = 0;
  for (const { offset, length } of parts) {
    const alignment = length >= LARGE_BYTES ? PAGE_BYTES : ALIGNMENT_BYTES;
    const place = Math.ceil(end / alignment) * alignment;
    places.set(offset, place);
    end = place + length;
  }
  return places;
}

async function moveParts(
  file: string,
  parts: readonly Part[],
  places: ReadonlyMap<number, number>,
): Promise<void> {
  const beside = `${file}.aligned`;
  const [from, to] = [await open(file, 'r'), await open(beside, 'w')];
  try {
    const buffer = Buffer.alloc(COPIED_AT_ONCE);
    for (const { offset, length } of parts) {
      const place = places.get(offset) ?? 0;
      for (let done = 0; done < length; ) {
        const wanted = Math.min(buffer.length, length - done);
        const { bytesRead } = await from.read(buffer, 0, wanted, offset + done);
        if (bytesRead === 0) throw new Error(`${path.basename(file)} ends before its weights do`);
        await writeAt(to, buffer.subarray(0, bytesRead), place + done);
        done += bytesRead;
      }
    }
    await to.close();
    await rename(beside, file);
  } catch (error) {
    await to.close().catch(() => undefined);
    await rm(beside, { force: true });
    throw error;
  } finally {
    await from.close();
  }
}

/** `FileHandle.write` may write less than it is given. */
async function writeAt(file: FileHandle, bytes: Uint8Array, place: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, place + done);
    done += bytesWritten;
  }
}

/** The entries of an initializer's `external_data`: key and value. */
function entriesOf({ number, value }: Field): readonly (readonly [string, string])[] {
  if (number !== 5) return [];
  return fieldsIn(value).flatMap((field) => {
    if (field.number !== 13) return [];
    const pair = fieldsIn(field.value);
    return [[stringsOf(pair, 1)[0] ?? '', stringsOf(pair, 2)[0] ?? ''] as const];
  });
}

/** The parts of the weights' file that belong to a field of a graph: GraphProto: initializer = 5. */
function partsOf(field: Field): readonly Part[] {
  const entries = entriesOf(field);
  const { offset, length } = Object.fromEntries(entries);
  if (length === undefined) return [];
  const own = { offset: Number(offset ?? 0), length: Number(length) };
  const packed = entries
    .filter(([key]) => key.startsWith('prepacked'))
    .flatMap(([, value]) => [...value.matchAll(PREPACKED)])
    .map(([, at, size]) => ({ offset: Number(at), length: Number(size) }));
  return [own, ...packed];
}

/** The field with its parts at their new places. TensorProto: external_data = 13. */
function withPlaces(field: Field, places: ReadonlyMap<number, number>): Field {
  if (partsOf(field).length === 0) return field;
  const place = (offset: string) => String(places.get(Number(offset)) ?? offset);
  const parts = fieldsIn(field.value).flatMap((part): readonly Uint8Array[] => {
    if (part.number !== 13) return [part.raw];
    const pair = fieldsIn(part.value);
    const [key = ''] = stringsOf(pair, 1);
    const [value = ''] = stringsOf(pair, 2);
    const moved = key.startsWith('prepacked')
      ? value.replaceAll(PREPACKED, (_, at: string, size: string) => `|${place(at)};${size};`)
      : key === 'offset'
        ? place(value)
        : value;
    return message(13, [stringField(1, key), stringField(2, moved)]);
  });
  const [moved = field] = [...fieldsOf(Buffer.from(concat(message(5, parts))))];
  return moved;
}
