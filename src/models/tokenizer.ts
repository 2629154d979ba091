import path from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { messageOf, PlimsollError } from '../errors.js';
import { readJson } from './description.js';

/** One text as the model takes it. */
export interface Encoding {
  /** Token ids, special tokens included; at most the model's maximum. */
  readonly ids: readonly number[];
  /** Whether the text was longer than fits, so that its end was left out. */
  readonly truncated: boolean;
}

/**
 * Longest prefix, in characters for each token that fits, that is tokenized first. Ordinary text
 * has 3 to 6 characters a token; a text whose prefix yields too few tokens is tokenized again
 * with four times as much, so the result is that of the whole text, and a megabyte of text costs
 * about as much as the few kilobytes of it that fit.
 */
const FIRST_CHARACTERS_PER_TOKEN = 16;

/**
 * Tokens at the end of a prefix that its cut may have changed: a word cut in two. WordPiece makes
 * one token of a word of over 100 characters (`max_input_chars_per_word`), but up to 100 tokens of
 * the beginning that a cut leaves of it.
 */
const CUT_MARGIN_TOKENS = 128;

/** A model's tokenizer with truncation to what the model takes. */
export class TextEncoder {
  readonly #tokenizer: Tokenizer;
  readonly #before: readonly number[];
  readonly #after: readonly number[];
  readonly #contentTokens: number;

  private constructor(tokenizer: Tokenizer, maxTokens: number) {
    this.#tokenizer = tokenizer;
    const [before, after] = specialTokens(tokenizer);
    this.#before = before;
    this.#after = after;
    this.#contentTokens = Math.max(1, maxTokens - before.length - after.length);
  }

  /**
   * Reads `tokenizer.json` and `tokenizer_config.json` of a model folder.
   *
   * @throws PlimsollError MODEL_UNUSABLE
   */
  static async open(directory: string, maxTokens: number): Promise<TextEncoder> {
    const json = await readJson(path.join(directory, 'tokenizer.json'));
    const config = await readJson(path.join(directory, 'tokenizer_config.json'), true);
    try {
      return new TextEncoder(new Tokenizer(json, config), maxTokens);
    } catch (error) {
      const reason = `tokenizer.json cannot be used: ${messageOf(error)}`;
      throw new PlimsollError('MODEL_UNUSABLE', reason);
    }
  }

  encode(text: string): Encoding {
    const content = this.#contentIds(text);
    const truncated = content.length > this.#contentTokens;
    const kept = truncated ? content.slice(0, this.#contentTokens) : content;
    return { ids: [...this.#before, ...kept, ...this.#after], truncated };
  }

  /** The ids of the text without special tokens; the end may be missing where it does not fit. */
  #contentIds(text: string): readonly number[] {
    const enough = this.#contentTokens + CUT_MARGIN_TOKENS;
    let length = this.#contentTokens * FIRST_CHARACTERS_PER_TOKEN;
    for (;;) {
      const whole = length >= text.length;
      const ids = this.#encode(whole ? text : text.slice(0, length));
      if (whole || ids.length > enough) return ids;
      length *= 4;
    }
  }

  #encode(text: string): readonly number[] {
    return this.#tokenizer.encode(text, { add_special_tokens: false }).ids;
  }
}

/** The ids that the tokenizer puts before and after every text. */
function specialTokens(tokenizer: Tokenizer): [readonly number[], readonly number[]] {
  const probe = 'a';
  const plain: readonly number[] = tokenizer.encode(probe, { add_special_tokens: false }).ids;
  const framed: readonly number[] = tokenizer.encode(probe).ids;
  for (let start = 0; start + plain.length <= framed.length; start += 1) {
    if (plain.every((id, index) => framed[start + index] === id)) {
      return [framed.slice(0, start), framed.slice(start + plain.length)];
    }
  }
  return [[], []];
}
