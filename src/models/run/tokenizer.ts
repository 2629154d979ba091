import { Tokenizer } from '@huggingface/tokenizers';
import { messageOf, PlimsollError } from '../../errors.js';
import type { Side } from '../intake/reading/room.js';
import type { TokenizerFiles } from '../intake/tokenizer-files.js';
import { type IdsInput, isIds, isPair, type PairInput, type RowInput } from './row-input.js';
import type { TokenizerChoice } from './serving-plan.js';
import { hasLongMarkRun } from './text-guard.js';
import { cutBehind, hasRunOver, type WordBreaks, wordBreaksOf } from './tokens/cuts.js';
import { type Frame, frameOf, isPlain, type PairFrame, pairFrameOf } from './tokens/frame.js';
import { type DetailedTokens, NativeTokenizer } from './tokens/native-tokenizer.js';
import { readTokenizer, usualFiles } from './tokens/open-tokenizer.js';
import { pairLengths } from './tokens/pair-lengths.js';
import { LONGEST_LEAN_RUN } from './tokens/run-bound.js';
import type { WordFacts } from './tokens/word-facts.js';

/** One text as the model takes it. */
export interface Encoding {
  /** Token ids, special tokens included; at most the model's maximum. */
  readonly ids: readonly number[];
  /** Token types; left out where all are 0. */
  readonly types?: readonly number[];
  /** Whether the text was longer than fits, so that a part of it was left out. */
  readonly truncated: boolean;
}

/** What an encoder is opened with. Without a kind it has the lean tokenizer. */
export interface EncoderOptions extends Partial<TokenizerChoice> {
  /** As the tokenizer's own files say if it is left out. */
  readonly truncationSide?: Side | undefined;
}

/**
 * How much of a long text is tokenized at first: as many characters as enough tokens took in the texts
 * before it (this many each, before the first), and a quarter more. Where that yields too few it is
 * tokenized again with more, so the result is that of the whole text.
 */
const FIRST_CHARACTERS_PER_TOKEN = 5;
const RESERVE = 1.25;
/** Each try takes at least this many times as much as the one before. */
const LEAST_GROWTH = 2;
/** Weight of the newest text in the mean. */
const NEWEST_WEIGHT = 0.05;
/** Tokens more than fit: a token that was added to the vocabulary may hold a blank, and reach across a cut. */
const CUT_MARGIN_TOKENS = 128;

/**
 * The longest text that the lean tokenizer is given: its stack ends at some 125,000 tokens. Runs without a blank have a
 * bound of their own, as some vocabularies take time in proportion to the square of their length (90 ms for a run of
 * 4,096 that a Unigram vocabulary does not know, 1.4 s for 16,384). The native one knows no such bounds.
 */
const LONGEST_LEAN_TEXT = 64 * 1024;
/** How far behind the wanted length a place to cut is looked for. */
const CUT_REACH = LONGEST_LEAN_RUN;

/** A model's tokenizer with truncation to what the model takes. */
export class TextEncoder {
  readonly #json: string | undefined;
  readonly #lean: Tokenizer | undefined;
  #native: Promise<NativeTokenizer> | undefined;
  readonly #readJson: () => Promise<string>;
  readonly #frame: Frame;
  readonly #isPlain: boolean;
  readonly #breaks: WordBreaks;
  readonly #except: RegExp | undefined;
  readonly #longestRun: number;
  readonly #side: Side;
  readonly #maxTokens: number;
  readonly #contentTokens: number;
  readonly #words: WordFacts;
  /** How two texts are framed, or why that is not known. */
  readonly #pairFrame: PairFrame | string;
  /** Characters that a token of long texts stands for: it decides what a text costs, never what comes out. */
  #charactersPerToken = FIRST_CHARACTERS_PER_TOKEN;

  private constructor(parts: {
    readonly json: string | undefined;
    readonly lean: Tokenizer | undefined;
    readonly readJson: () => Promise<string>;
    readonly frame: Frame;
    readonly pairFrame: PairFrame | string;
    readonly breaks: WordBreaks;
    readonly except: string | undefined;
    readonly longestRun: number;
    readonly side: Side;
    readonly maxTokens: number;
    readonly words: WordFacts;
  }) {
    this.#json = parts.json;
    this.#lean = parts.lean;
    this.#readJson = parts.readJson;
    this.#frame = parts.frame;
    this.#isPlain = isPlain(parts.frame);
    this.#pairFrame = parts.pairFrame;
    this.#maxTokens = parts.maxTokens;
    this.#breaks = parts.breaks;
    this.#except = parts.except === undefined ? undefined : new RegExp(parts.except, 'u');
    this.#longestRun = parts.longestRun;
    this.#side = parts.side;
    this.#words = parts.words;
    const { before, after } = parts.frame;
    this.#contentTokens = Math.max(1, parts.maxTokens - before.length - after.length);
  }

  /**
   * Reads a model's tokenizer.
   *
   * @param where its files by their whole paths, or the folder that has them under their usual names
   * @throws PlimsollError MODEL_UNUSABLE
   */
  static async open(
    where: TokenizerFiles | string,
    maxTokens: number,
    options: EncoderOptions = {},
  ): Promise<TextEncoder> {
    const files = typeof where === 'string' ? usualFiles(where) : where;
    const { json, truncationSide, words } = await readTokenizer(files);
    try {
      const isNative = options.kind === 'native';
      const encoder = new TextEncoder({
        // The text takes as much memory as the file is large: without need it is made again where it is asked for.
        json: isNative ? JSON.stringify(json) : undefined,
        // The config is left out: what it changes has been changed, and the library would do more.
        lean: isNative ? undefined : new Tokenizer(json, {}),
        readJson: async () => JSON.stringify((await readTokenizer(files)).json),
        frame: frameOf(json.post_processor),
        pairFrame: pairFrameOrReason(json.post_processor, options.isPairUnknown),
        breaks: wordBreaksOf(json),
        except: options.except,
        longestRun: options.longestRun ?? LONGEST_LEAN_RUN,
        side: options.truncationSide ?? truncationSide,
        ...{ maxTokens, words },
      });
      if (isNative) await encoder.native();
      return encoder;
    } catch (error) {
      const reason = `tokenizer.json cannot be used: ${messageOf(error).slice(0, 300)}`;
      throw new PlimsollError('MODEL_UNUSABLE', reason);
    }
  }

  get truncationSide(): Side {
    return this.#side;
  }

  /** Whether its post-processor says how two texts are framed. */
  get takesPairs(): boolean {
    return typeof this.#pairFrame !== 'string';
  }

  get frame(): Frame {
    return this.#frame;
  }

  /** The most tokens of a text, special ones left out. */
  get contentTokens(): number {
    return this.#contentTokens;
  }

  /** What its files say of words. */
  get words(): WordFacts {
    return this.#words;
  }

  /** The native tokenizer of the same files, opened when it is first asked for. */
  native(): Promise<NativeTokenizer> {
    this.#native ??= (async () => NativeTokenizer.open(this.#json ?? (await this.#readJson())))();
    return this.#native;
  }

  /**
   * Every row, by whichever tokenizer is right for it.
   *
   * @throws PlimsollError INVALID_INPUT if the model does not take such a row
   */
  async encodeAll(rows: readonly RowInput[]): Promise<readonly Encoding[]> {
    const encodings: Encoding[] = [];
    for (const row of rows) {
      if (typeof row === 'string') encodings.push(await this.#encodeText(row, this.#side));
      else if (isIds(row)) encodings.push(this.#given(row));
      else if (isPair(row)) encodings.push(await this.#encodePair(row));
      else encodings.push(await this.#encodeText(row.text, row.side));
    }
    return encodings;
  }

  /**
   * One text, by the lean tokenizer.
   *
   * @throws Error if the encoder has none, or the text has to go to the native one
   */
  encode(text: string): Encoding {
    const content = this.#leanContent(text, this.#side);
    if (content === undefined) throw new Error('this text takes the native tokenizer');
    return this.#framed(content, this.#side);
  }

  /**
   * What the model sees of a text: its tokens with their places. The ids are those of {@link encodeAll}; the places
   * come from the native tokenizer, and are left out should it ever make other tokens of the text.
   */
  async detailed(text: string): Promise<Encoding & { readonly details: DetailedTokens }> {
    const [encoding = this.encode('')] = await this.encodeAll([text]);
    const native = await this.native();
    const whole = await native.detailed(wellFormed(text));
    const { before, after } = this.#frame;
    const content = encoding.ids.slice(before.length, encoding.ids.length - after.length);
    const from = this.#side === 'left' ? whole.ids.length - content.length : 0;
    const isSame = content.every((id, index) => id === whole.ids[from + index]);
    const kept = isSame ? whole.offsets.slice(from, from + content.length) : [];
    const details = {
      ids: encoding.ids,
      tokens: encoding.ids.map((id) => native.tokenOf(id)),
      offsets: isSame ? [...noPlaces(before), ...kept, ...noPlaces(after)] : [],
    };
    return { ...encoding, details };
  }

  /** The same without cutting: all tokens of a text, however many the model takes. */
  async detailedWhole(text: string): Promise<DetailedTokens> {
    const native = await this.native();
    const { ids: content, offsets } = await native.detailed(wellFormed(text));
    const { before, after } = this.#frame;
    const ids = [...before, ...content, ...after];
    return {
      ids,
      tokens: ids.map((id) => native.tokenOf(id)),
      offsets: [...noPlaces(before), ...offsets, ...noPlaces(after)],
    };
  }

  async #encodeText(text: string, side: Side): Promise<Encoding> {
    return this.#framed(await this.#contentOf(text, side), side);
  }

  /** Token ids of a text without special tokens; of one that is too long at least as many as fit, and one more. */
  async #contentOf(text: string, side: Side): Promise<readonly number[]> {
    return this.#leanContent(text, side) ?? (await this.#nativeContent(text, side));
  }

  /** Undefined if the text has to go to the native tokenizer. */
  #leanContent(text: string, side: Side): readonly number[] | undefined {
    const lean = this.#lean;
    if (lean === undefined) return undefined;
    const encode = (part: string) => {
      if (part.length > LONGEST_LEAN_TEXT) return undefined;
      if (part.length > this.#longestRun && hasRunOver(part, this.#longestRun)) return undefined;
      if (this.#except?.test(part) === true || hasLongMarkRun(part)) return undefined;
      const ids: readonly number[] = lean.encode(wellFormed(part), PLAIN).ids;
      return ids;
    };
    // The end of a text has its own tokens only behind those of all before it.
    if (side === 'left') return encode(text);
    const enough = this.#contentTokens + CUT_MARGIN_TOKENS;
    let length = this.#firstLength(enough);
    for (;;) {
      const part = this.beginning(text, length);
      const ids = part === undefined ? undefined : encode(part);
      if (part === undefined || ids === undefined) return undefined;
      if (part.length === text.length || ids.length > enough) {
        if (part.length < text.length) this.#learn(part.length / ids.length);
        return ids;
      }
      length = longer(length, enough, ids.length);
    }
  }

  async #nativeContent(text: string, side: Side): Promise<readonly number[]> {
    const native = await this.native();
    const enough = this.#contentTokens + CUT_MARGIN_TOKENS;
    let length = this.#firstLength(enough);
    for (;;) {
      const part = side === 'left' ? text : (this.beginning(text, length) ?? text);
      const [ids = []] = await native.idsOf([wellFormed(part)]);
      if (part.length === text.length || ids.length > enough) return ids;
      length = longer(length, enough, ids.length);
    }
  }

  #firstLength(enough: number): number {
    return Math.ceil(enough * this.#charactersPerToken * RESERVE);
  }

  #learn(found: number): void {
    this.#charactersPerToken += NEWEST_WEIGHT * (found - this.#charactersPerToken);
  }

  /** The text up to a place where it may be cut, at or behind that length; undefined if there is none near. */
  beginning(text: string, length: number): string | undefined {
    if (length >= text.length) return text;
    const at = cutBehind(text, length, CUT_REACH, this.#breaks);
    if (at !== undefined) return text.slice(0, at);
    // Without a place to cut, a text that the lean tokenizer may have whole is not cut at all.
    return text.length <= LONGEST_LEAN_TEXT ? text : undefined;
  }

  #given({ ids, types }: IdsInput): Encoding {
    if (ids.length > this.#maxTokens) {
      const reason = `a row has ${ids.length} token ids, and the model takes ${this.#maxTokens}`;
      throw new PlimsollError('INVALID_INPUT', reason);
    }
    return types === undefined ? { ids, truncated: false } : { ids, types, truncated: false };
  }

  async #encodePair(row: PairInput): Promise<Encoding> {
    const { text, pair, cut, side = this.#side } = row;
    const frame = this.#pairFrame;
    if (typeof frame === 'string') {
      throw new PlimsollError('INVALID_INPUT', `the model takes no two texts: ${frame}`);
    }
    const [first, second] = [await this.#contentOf(text, side), await this.#contentOf(pair, side)];
    const [before, between, after] = frame.pieces;
    const special = before.ids.length + between.ids.length + after.ids.length;
    const room = Math.max(0, this.#maxTokens - special);
    const lengths = pairLengths(...(await this.#countsOf(first, second, row)), room, cut);
    if (lengths === undefined) {
      const reason = `the second text has ${second.length} tokens or more, and may not be cut: with ${special} special tokens nothing is left for the first of the ${this.#maxTokens} that the model takes`;
      throw new PlimsollError('INVALID_INPUT', reason);
    }
    const kept = [keptOf(first, lengths[0], side), keptOf(second, lengths[1], side)] as const;
    const { firstType, secondType } = frame;
    return {
      ids: [...before.ids, ...kept[0], ...between.ids, ...kept[1], ...after.ids],
      types: [
        ...[...before.types, ...kept[0].map(() => firstType), ...between.types],
        ...[...kept[1].map(() => secondType), ...after.types],
      ],
      truncated: kept[0].length < first.length || kept[1].length < second.length,
    };
  }

  /** Tokens of two texts. Of two that are both far too long the longer one gets the odd token, so they are counted whole. */
  async #countsOf(
    first: readonly number[],
    second: readonly number[],
    { text, pair, cut }: PairInput,
  ): Promise<readonly [number, number]> {
    const most = this.#contentTokens + CUT_MARGIN_TOKENS;
    const areParts = first.length > most && second.length > most;
    if (!areParts || cut === 'only_first') return [first.length, second.length];
    const native = await this.native();
    const [a = [], b = []] = await native.idsOf([wellFormed(text), wellFormed(pair)]);
    return [a.length, b.length];
  }

  #framed(content: readonly number[], side: Side): Encoding {
    const { before, after, beforeTypes, textType, afterTypes } = this.#frame;
    const truncated = content.length > this.#contentTokens;
    const kept = keptOf(content, this.#contentTokens, side);
    const ids = [...before, ...kept, ...after];
    if (this.#isPlain) return { ids, truncated };
    const types = [...beforeTypes, ...kept.map(() => textType), ...afterTypes];
    return { ids, types, truncated };
  }
}

const PLAIN = { add_special_tokens: false } as const;

/** Special tokens stand for no part of the text. */
function noPlaces(of: readonly number[]): readonly (readonly [number, number])[] {
  return of.map(() => [0, 0]);
}

const UNKNOWN_PAIR = 'its post_processor frames two texts in a way that is not known';

/** A model whose tokenizer has no place for a second text is served all the same. */
function pairFrameOrReason(postProcessor: unknown, isUnknown = false): PairFrame | string {
  try {
    const frame = pairFrameOf(postProcessor);
    return isUnknown ? UNKNOWN_PAIR : frame;
  } catch (error) {
    return messageOf(error);
  }
}

function keptOf(content: readonly number[], tokens: number, side: Side): readonly number[] {
  if (content.length <= tokens) return content;
  return side === 'left' ? content.slice(content.length - tokens) : content.slice(0, tokens);
}

function longer(length: number, enough: number, tokens: number): number {
  const perToken = length / Math.max(1, tokens);
  return Math.ceil(Math.max(length * LEAST_GROWTH, enough * perToken * RESERVE));
}

const LONE_SURROGATE = /\p{Surrogate}/u;
const LONE_SURROGATES = /\p{Surrogate}/gu;

/** Half characters, which no UTF-8 can hold, become U+FFFD in both tokenizers. */
export function wellFormed(text: string): string {
  return LONE_SURROGATE.test(text) ? text.replace(LONE_SURROGATES, '\ufffd') : text;
}
