import path from 'node:path';
import { messageOf, PlimsollError } from '../../../errors.js';
import { NoFileError, readBounded } from './files.js';
import { isLfsText, lfsReason } from './lfs.js';

/** A JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>;

const MB = 2 ** 20;
/** The most that is read of a configuration file. One of 100,000 labels, named both ways, has 5 MB. */
export const MAX_CONFIG_BYTES = 8 * MB;
/** The most that is read of a tokenizer file. The largest known ones (vocabularies of 256,000) have 35 MB. */
export const MAX_TOKENIZER_BYTES = 128 * MB;

/**
 * JSON as Python's `json` module writes it: `NaN`, `Infinity` and `-Infinity` may stand for numbers, and a
 * byte order mark before it all.
 *
 * @throws SyntaxError
 */
export function parseJson(source: string): unknown {
  const text = source.charCodeAt(0) === 0xfeff ? source.slice(1) : source;
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!/NaN|Infinity/.test(text)) throw error;
    // Texts are matched first, so that these words are replaced outside of them only.
    const plain = text.replace(/"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g, (found) => {
      if (found === 'NaN') return 'null';
      // Too large for a double: JSON.parse makes it infinite.
      return found.endsWith('Infinity') ? found.replace('Infinity', '1e999') : found;
    });
    return JSON.parse(plain);
  }
}

/**
 * Reads a file that must hold one JSON object. An optional one that is missing is empty.
 *
 * @throws PlimsollError MODEL_UNUSABLE, naming the file and what is wrong with it.
 */
export async function readJson(
  file: string,
  options: { readonly optional?: boolean; readonly maxBytes?: number } = {},
): Promise<JsonObject> {
  const { optional = false, maxBytes = MAX_CONFIG_BYTES } = options;
  try {
    const text = (await readBounded(file, maxBytes)).toString('utf8');
    if (isLfsText(text)) {
      throw new PlimsollError('MODEL_UNUSABLE', lfsReason(path.basename(file)));
    }
    const value = parseJson(text);
    if (!isObject(value)) throw new Error('it does not hold a JSON object');
    return value;
  } catch (error) {
    if (error instanceof PlimsollError) throw error;
    if (optional && error instanceof NoFileError && error.missing) return {};
    const reason = `${path.basename(file)} cannot be used: ${messageOf(error)}`;
    throw new PlimsollError('MODEL_UNUSABLE', reason);
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value if it is an integer within the bounds. */
export function boundedInteger(value: unknown, min: number, max: number): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
    ? value
    : undefined;
}
