import type { Decoder, Tokenizer } from 'tokenizers';

/** A text as the native tokenizer sees it, special tokens included. */
export interface DetailedTokens {
  readonly ids: readonly number[];
  readonly tokens: readonly string[];
  /** Begin and end of each token in the text, in code points; special tokens have none and stand at 0, 0. */
  readonly offsets: readonly (readonly [number, number])[];
}

const PLAIN = { addSpecialTokens: false } as const;

/**
 * The reference: the tokenizer that models were trained with. Its library is loaded when it is first asked for,
 * as most models do without. It works in the thread pool, on one text after another.
 */
export class NativeTokenizer {
  readonly #tokenizer: Tokenizer;
  #decoder: Decoder | null | undefined;

  private constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  /**
   * @param json a whole `tokenizer.json`
   * @throws Error if the library refuses it
   */
  static async open(json: string): Promise<NativeTokenizer> {
    // One worker shares the CPUs with others; the library would otherwise start a thread for each of them.
    process.env.TOKENIZERS_PARALLELISM = 'false';
    const { Tokenizer } = await import('tokenizers');
    const tokenizer = Tokenizer.fromString(json);
    tokenizer.disableTruncation();
    tokenizer.disablePadding();
    return new NativeTokenizer(tokenizer);
  }

  /** The ids of each text, without special tokens. */
  async idsOf(texts: readonly string[]): Promise<readonly (readonly number[])[]> {
    const encodings = await this.#tokenizer.encodeBatch([...texts], PLAIN);
    return encodings.map((encoding) => encoding.getIds());
  }

  /** Ids and token types of a text, or of two, as the library itself frames it. */
  async framed(
    text: string,
    pair: string | null = null,
  ): Promise<{ ids: readonly number[]; types: readonly number[] }> {
    const encoding = await this.#tokenizer.encode(text, pair);
    return { ids: encoding.getIds(), types: encoding.getTypeIds() };
  }

  /** Tokens and offsets of a text, without special tokens. */
  async detailed(text: string): Promise<DetailedTokens> {
    const encoding = await this.#tokenizer.encode(text, null, PLAIN);
    return {
      ids: encoding.getIds(),
      tokens: encoding.getTokens(),
      offsets: encoding.getOffsets().map(([begin = 0, end = 0]) => [begin, end]),
    };
  }

  /** Tokens as a text, as the tokenizer's decoder joins them. */
  join(tokens: readonly string[]): string {
    this.#decoder ??= this.#tokenizer.getDecoder();
    return this.#decoder?.decode([...tokens]) ?? tokens.join(' ');
  }

  /** The id of a token; undefined if there is none. */
  idOf(token: string): number | undefined {
    return this.#tokenizer.tokenToId(token) ?? undefined;
  }

  /** Tokens by id, as the vocabulary writes them. */
  tokenOf(id: number): string {
    return this.#tokenizer.idToToken(id) ?? '';
  }

  /** The whole vocabulary, added tokens included. */
  vocabulary(): Readonly<Record<string, number>> {
    return this.#tokenizer.getVocab(true);
  }
}
