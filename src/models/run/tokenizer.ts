import path from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { messageOf, PlimsollError } from '../../errors.js';
import { readJson } from '../intake/description.js';
import { withoutLongMarkRuns } from './text-guard.js';

/** One text as the model takes it. */
export interface Encoding {
  /** Token ids, special tokens included; at most the model's maximum. */
  readonly ids: readonly number[];
  /** Whether the text was longer than fits, so that its end was left out. */
  readonly truncated: boolean;
}

/**
 * How much of a long text is tokenized at first: as many characters as enough tokens took in the texts
 * before it (this many each, before the first), and a quarter more. Where that yields too few it is
 * tokenized again with more, so the result is that of the whole text, and a megabyte of text costs
 * about as much as the few kilobytes of it that fit.
 */
const FIRST_CHARACTERS_PER_TOKEN = 5;
const RESERVE = 1.25;
/** Each try takes at least this many times as much as the one before. */
const LEAST_GROWTH = 2;
/** Weight of the newest text in the mean. */
const NEWEST_WEIGHT = 0.05;

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
  /** Characters that a token of long texts stands for: it decides what a text costs, never what comes out. */
  #charactersPerToken = FIRST_CHARACTERS_PER_TOKEN;

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
    const content = this.#contentIds(withoutLongMarkRuns(text));
    const truncated = content.length > this.#contentTokens;
    const kept = truncated ? content.slice(0, this.#contentTokens) : content;
    return { ids: [...this.#before, ...kept, ...this.#after], truncated };
  }

  /** The ids of the text without special tokens; the end may be missing where it does not fit. */
  #contentIds(text: string): readonly number[] {
    const enough = this.#contentTokens + CUT_MARGIN_TOKENS;
    let length = Math.ceil(enough * this.#charactersPerToken * RESERVE);
    for (;;) {
      const whole = length >= text.length;
      const ids = this.#encode(whole ? text : text.slice(0, length));
      if (whole) return ids;
      const found = length / Math.max(1, ids.length);
      if (ids.length > enough) {
        this.#charactersPerToken += NEWEST_WEIGHT * (found - this.#charactersPerToken);
        return ids;
      }
      length = Math.ceil(Math.max(length * LEAST_GROWTH, enough * found * RESERVE));
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
