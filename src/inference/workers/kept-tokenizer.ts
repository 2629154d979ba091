import { stat } from 'node:fs/promises';
import { TextEncoder } from '../../models/run/tokenizer.js';
import type { TokenizerHandle } from './protocol.js';

/** Calls often come in rows; what a tokenizer takes, up to some 100 MB, is given back soon after the last. */
const KEPT_MS = 5000;

/** Opens a tokenizer by its handle. */
export function encoderOf({ files, maxTokens, choice, truncationSide }: TokenizerHandle) {
  return TextEncoder.open(files, maxTokens, { ...choice, truncationSide });
}

/** The tokenizer that was last used without its model, for a short while: parsing a large one takes seconds. */
export class KeptTokenizer {
  readonly #onDropped: () => void;
  #kept: { readonly key: string; readonly encoder: TextEncoder } | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param onDropped called when its memory can be collected. */
  constructor(onDropped: () => void) {
    this.#onDropped = onDropped;
  }

  /** @throws PlimsollError MODEL_UNUSABLE */
  async open(handle: TokenizerHandle): Promise<TextEncoder> {
    const key = await keyOf(handle);
    const known = this.#kept;
    const encoder = known?.key === key ? known.encoder : await this.#parse(handle);
    this.#kept = { key, encoder };
    return encoder;
  }

  /** Call it when a call has ended: the time until it is dropped begins. */
  used(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.drop();
      this.#onDropped();
    }, KEPT_MS).unref();
  }

  drop(): void {
    clearTimeout(this.#timer);
    this.#kept = undefined;
  }

  /** Two of them are never held at once. */
  #parse(handle: TokenizerHandle): Promise<TextEncoder> {
    this.#kept = undefined;
    return encoderOf(handle);
  }
}

/** Files that were replaced meanwhile make another tokenizer. */
async function keyOf(handle: TokenizerHandle): Promise<string> {
  const looks = handle.files.all.map(async (file) => {
    const { ino, size, mtimeMs } = await stat(file);
    return [ino, size, mtimeMs];
  });
  // A file that is missing is told of by whoever opens it.
  const seen = await Promise.all(looks).catch(() => [Math.random()]);
  return JSON.stringify([handle, seen]);
}
