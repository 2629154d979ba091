/** Texts as models that classify tokens take them: with the place of each token, and in chunks where they are long. */
import { PlimsollError } from '../../errors.js';
import type { TextToken, WordRules } from './entities.js';
import { type Encoding, type TextEncoder, wellFormed } from './tokenizer.js';
import { chunksOf, MOST_TOKENS_OF_TEXT, type Range, tokensOfChunks } from './tokens/chunks.js';
import { isPlain } from './tokens/frame.js';
import type { DetailedTokens, NativeTokenizer } from './tokens/native-tokenizer.js';

/** Tokens beyond those that are needed: a token that was added to the vocabulary may reach across a cut. */
const CUT_MARGIN_TOKENS = 128;
const FIRST_CHARACTERS_PER_TOKEN = 6;

/** A part of a text that runs as one row. */
export interface EncodedChunk {
  readonly encoding: Encoding;
  readonly tokens: readonly TextToken[];
}

export interface EncodedText {
  /** The text without half characters: what `tokens` count in. */
  readonly text: string;
  readonly chunks: readonly EncodedChunk[];
  /** Whether a part of it was left out. */
  readonly truncated: boolean;
}

/** The native tokenizer of a model: the lean one knows no places. */
export class TokenEncoder {
  readonly #encoder: TextEncoder;
  readonly #native: NativeTokenizer;
  readonly #unknown: number | undefined;
  readonly rules: WordRules;

  private constructor(encoder: TextEncoder, native: NativeTokenizer) {
    const { hasPrefix, unknown } = encoder.words;
    this.#encoder = encoder;
    this.#native = native;
    this.#unknown = unknown === undefined ? undefined : native.idOf(unknown);
    this.rules = { hasPrefix, join: (pieces) => native.join(pieces) };
  }

  static async open(encoder: TextEncoder): Promise<TokenEncoder> {
    return new TokenEncoder(encoder, await encoder.native());
  }

  /** Special tokens before a text. */
  get before(): number {
    return this.#encoder.frame.before.length;
  }

  /**
   * One text: cut off where it is too long, or in chunks.
   *
   * @param stride tokens that a chunk shares with the one before
   * @throws PlimsollError INVALID_INPUT if a chunk has no room for more than those, or the chunks are too many
   */
  async encode(raw: string, stride?: number): Promise<EncodedText> {
    const text = wellFormed(raw);
    const { contentTokens: most, truncationSide: side } = this.#encoder;
    if (stride === undefined) {
      const whole = await this.#tokensOf(text, most);
      const [range = [0, 0]] = chunksOf(whole.ids.length, most, 0, side);
      const truncated = whole.ids.length > most;
      return { text, chunks: [this.#chunk(whole, range)], truncated };
    }
    const room = this.#roomFor(stride);
    const whole = await this.#tokensOf(text, room.tokens);
    if (whole.ids.length > room.tokens) throw tooLong(room, most, stride);
    const ranges = chunksOf(whole.ids.length, most, stride, side);
    return { text, chunks: ranges.map((range) => this.#chunk(whole, range)), truncated: false };
  }

  #roomFor(stride: number): { readonly chunks: number; readonly tokens: number } {
    const { contentTokens: most, frame } = this.#encoder;
    if (!Number.isInteger(stride) || stride < 0 || stride >= most) {
      const reason = `stride is ${stride}; for this model it is a whole number from 0 to ${most - 1}: a chunk of its texts has ${most} tokens`;
      throw new PlimsollError('INVALID_INPUT', reason);
    }
    const length = most + frame.before.length + frame.after.length;
    const chunks = Math.max(2, Math.floor(MOST_TOKENS_OF_TEXT / length));
    return { chunks, tokens: tokensOfChunks(chunks, most, stride) };
  }

  /** The tokens of a text, or of its beginning if that alone has more than so many. */
  async #tokensOf(text: string, needed: number): Promise<DetailedTokens> {
    const enough = needed + CUT_MARGIN_TOKENS;
    let length = enough * FIRST_CHARACTERS_PER_TOKEN;
    for (;;) {
      const isWhole = this.#encoder.truncationSide === 'left';
      const part = isWhole ? text : (this.#encoder.beginning(text, length) ?? text);
      const tokens = await this.#native.detailed(part);
      if (part.length === text.length || tokens.ids.length > enough) return tokens;
      length *= 2;
    }
  }

  #chunk({ ids, offsets }: DetailedTokens, [begin, end]: Range): EncodedChunk {
    const { frame } = this.#encoder;
    const { before, beforeTypes, textType, after, afterTypes } = frame;
    const content = ids.slice(begin, end);
    const framed = { ids: [...before, ...content, ...after], truncated: false };
    const types = [...beforeTypes, ...content.map(() => textType), ...afterTypes];
    return {
      encoding: isPlain(frame) ? framed : { ...framed, types },
      tokens: content.map((id, at) => {
        const [start, stop] = offsets[begin + at] ?? [0, 0];
        // By its id: what the tokenizer calls the token of an unknown word is that word.
        return {
          piece: this.#native.tokenOf(id),
          start,
          end: stop,
          isUnknown: id === this.#unknown,
        };
      }),
    };
  }
}

function tooLong(
  { chunks, tokens }: { readonly chunks: number; readonly tokens: number },
  most: number,
  stride: number,
): PlimsollError {
  const reason = `the text has more than ${tokens} tokens, and so more than ${chunks} chunks of ${most} with a stride of ${stride}, which is the most that one text may have: send it in parts, or take a smaller stride`;
  return new PlimsollError('INVALID_INPUT', reason);
}
