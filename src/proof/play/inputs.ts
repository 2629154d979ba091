/** Reads the labelled texts that a proof plays: `.jsonl`, `.jsonl.gz`, or a folder of `.txt` files. */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { gunzipSync } from 'node:zlib';

/** More text than this is not a sample; it would sit in the memory of the machine under test. */
const MAX_INPUT_BYTES = 64 * 2 ** 20;

export interface LabelledInput {
  readonly text: string;
  /** The label that a correct model gives, where it is known. */
  readonly label: string | null;
}

export interface InputSet {
  /** The file's or folder's own name, without the path to it. */
  readonly name: string;
  /** SHA-256 over all texts and labels in order: two reports with one digest played the same set. */
  readonly sha256: string;
  readonly inputs: readonly LabelledInput[];
}

/** The inputs cannot be read; the message names the file and, where there is one, the line. */
export class InputError extends Error {
  override readonly name = 'InputError';
}

/**
 * Reads a set of inputs.
 *
 * A JSON-lines file holds `{"text": "…", "label"?: "…"}` in each line (blank lines are skipped). In a
 * folder each `.txt` file is one text without a label, in the order of the names.
 *
 * @throws {InputError} when the path is missing, empty, too large, or a line cannot be read.
 */
export async function readInputs(path: string): Promise<InputSet> {
  let inputs: readonly LabelledInput[];
  try {
    const found = await stat(path);
    inputs = found.isDirectory() ? await readFolder(path) : await readLines(path, found.size);
  } catch (error) {
    if (error instanceof InputError) throw error;
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    throw new InputError(
      missing ? `there is no file or folder of inputs at ${path}` : `${path}: ${reason(error)}`,
    );
  }
  return { name: basename(path), sha256: digest(inputs), inputs };
}

async function readFolder(path: string): Promise<readonly LabelledInput[]> {
  const names = (await readdir(path)).filter((name) => name.endsWith('.txt')).sort();
  if (names.length === 0) throw new InputError(`the folder ${path} has no .txt file`);
  const inputs: LabelledInput[] = [];
  let bytes = 0;
  for (const name of names) {
    const content = await readFile(join(path, name));
    bytes += content.length;
    if (bytes > MAX_INPUT_BYTES) throw tooLarge(path);
    const text = content.toString('utf8');
    if (text.trim() === '') throw new InputError(`${join(path, name)} is empty`);
    inputs.push({ text, label: null });
  }
  return inputs;
}

async function readLines(path: string, size: number): Promise<readonly LabelledInput[]> {
  if (!/\.jsonl(\.gz)?$/.test(path)) {
    throw new InputError(
      `${path} is neither a .jsonl or .jsonl.gz file nor a folder of .txt files`,
    );
  }
  if (size > MAX_INPUT_BYTES) throw tooLarge(path);
  const packed = await readFile(path);
  const content = (path.endsWith('.gz') ? unpack(path, packed) : packed).toString('utf8');
  const inputs: LabelledInput[] = [];
  for (const [index, line] of content.split('\n').entries()) {
    if (line.trim() !== '') inputs.push(parseLine(path, index + 1, line));
  }
  if (inputs.length === 0) throw new InputError(`${path} has no inputs`);
  return inputs;
}

function unpack(path: string, packed: Buffer): Buffer {
  try {
    return gunzipSync(packed, { maxOutputLength: MAX_INPUT_BYTES });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(path);
    throw new InputError(`${path} cannot be unpacked: ${reason(error)}`);
  }
}

function parseLine(path: string, line: number, content: string): LabelledInput {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (error) {
    throw new InputError(`${path}, line ${line}: not JSON (${reason(error)})`);
  }
  if (typeof value !== 'object' || value === null || !('text' in value)) {
    throw new InputError(`${path}, line ${line}: there is no "text"`);
  }
  if (typeof value.text !== 'string' || value.text.trim() === '') {
    throw new InputError(`${path}, line ${line}: "text" is not a text, or empty`);
  }
  const label = 'label' in value ? value.label : null;
  if (label !== null && typeof label !== 'string') {
    throw new InputError(`${path}, line ${line}: "label" is not a text`);
  }
  return { text: value.text, label };
}

function digest(inputs: readonly LabelledInput[]): string {
  const hash = createHash('sha256');
  for (const input of inputs) hash.update(`${JSON.stringify([input.text, input.label])}\n`);
  return hash.digest('hex');
}

function tooLarge(path: string): InputError {
  return new InputError(`${path} has more than ${MAX_INPUT_BYTES / 2 ** 20} MB of text`);
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
