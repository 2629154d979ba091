/**
 * Enlarges small tokenizers of each kind to the vocabularies that models of that kind have. New entries are pieces of
 * the words of real mails, so that texts meet them; the rest is made of two such words.
 */
import { type JsonObject, readJson } from '../../src/models/intake/folder/json.js';

/** What `tokenizer.json` holds of it. */
interface TokenizerModel {
  readonly type: 'WordPiece' | 'BPE' | 'Unigram';
  readonly vocab: Readonly<Record<string, number>> | readonly (readonly [string, number])[];
  readonly merges?: readonly unknown[];
}

/** Log probability of the likeliest new entry of a Unigram vocabulary; the others follow Zipf's law. */
const FIRST_SCORE = -4;

/**
 * @param template a `tokenizer.json`
 * @param entries size of the vocabulary that is wanted
 * @param texts where words are taken from
 */
export async function enlargeTokenizer(
  template: string,
  entries: number,
  texts: readonly string[],
): Promise<JsonObject> {
  const json = await readJson(template);
  const model = json.model as unknown as TokenizerModel;
  const words = wordsOf(texts, entries);
  const enlarge = { WordPiece: wordPiece, BPE: bytePairs, Unigram: unigram }[model.type];
  return { ...json, truncation: null, model: { ...model, ...enlarge(model, entries, words) } };
}

/** The words of the texts, the most frequent first, then pairs of them: enough to fill a vocabulary. */
function* wordsOf(texts: readonly string[], entries: number): Generator<string> {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const [word] of text.toLowerCase().matchAll(/[a-z0-9]{2,20}/g)) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  const words = [...counts].sort(([, a], [, b]) => b - a).map(([word]) => word);
  yield* words;
  const each = Math.ceil(Math.sqrt(entries));
  for (const first of words.slice(0, each)) {
    for (const second of words.slice(0, each)) yield first + second;
  }
}

/** Whole words, and their ends as continuing pieces. */
function wordPiece({ vocab }: TokenizerModel, entries: number, words: Iterable<string>) {
  const pieces = new Map(Object.entries(vocab as Readonly<Record<string, number>>));
  for (const word of words) {
    for (const piece of [word, `##${word.slice(Math.floor(word.length / 2))}`]) {
      if (pieces.size < entries && !pieces.has(piece)) pieces.set(piece, pieces.size);
    }
    if (pieces.size >= entries) break;
  }
  return { vocab: Object.fromEntries(pieces) };
}

/** Each word is merged from its first letter on: every beginning of it becomes an entry. */
function bytePairs(
  { vocab, merges = [] }: TokenizerModel,
  entries: number,
  words: Iterable<string>,
) {
  const pieces = new Map(Object.entries(vocab as Readonly<Record<string, number>>));
  const all: unknown[] = [...merges];
  for (const word of words) {
    let begin = 'Ġ';
    for (const letter of word) {
      const piece = begin + letter;
      if (!pieces.has(piece)) {
        pieces.set(piece, pieces.size);
        all.push([begin, letter]);
      }
      begin = piece;
    }
    if (pieces.size >= entries) break;
  }
  return { vocab: Object.fromEntries(pieces), merges: all };
}

/** Words at the beginning of a word, and their ends. */
function unigram({ vocab }: TokenizerModel, entries: number, words: Iterable<string>) {
  const known = vocab as readonly (readonly [string, number])[];
  const pieces = new Map(known);
  for (const word of words) {
    for (const piece of [`▁${word}`, word.slice(Math.floor(word.length / 2))]) {
      if (pieces.size >= entries || pieces.has(piece)) continue;
      pieces.set(piece, FIRST_SCORE - Math.log(pieces.size - known.length + 1));
    }
    if (pieces.size >= entries) break;
  }
  return { vocab: [...pieces] };
}
