/**
 * From the logits of a text's tokens to the entities that it names. Pure. The rules are those of transformers'
 * TokenClassificationPipeline (4.57), with what is odd in them: answers are held against its own.
 */
import { PlimsollError } from '../../errors.js';
import { CodePoints } from './code-points.js';
import { groupsOf, indexOfLargest, type ScoredToken, wordsOf } from './entity-groups.js';
import { type Logits, rounded } from './scores.js';

/**
 * How tokens become entities. `none`: each token by itself. `simple`: neighbours of one tag. `first`, `average`, `max`:
 * a word has one label, that of its first token, of its tokens' mean, or of its surest token; then neighbours of one
 * tag.
 */
export type Aggregation = 'none' | 'simple' | 'first' | 'average' | 'max';

export const AGGREGATIONS: readonly Aggregation[] = ['none', 'simple', 'first', 'average', 'max'];

/** What is asked of a text. */
export interface TokenOptions {
  readonly aggregation: Aggregation;
  /** Entities of these labels are left out: of whole labels with `none` (`B-PER`), else of tags (`PER`). */
  readonly ignoreLabels: readonly string[];
  /**
   * A text that is too long is cut into chunks that share this many tokens with the one before. Without it the text
   * is cut off. Not with `none`.
   */
  readonly stride?: number;
}

/** What the pipeline leaves out if nothing else is said. */
export const DEFAULT_IGNORED: readonly string[] = ['O'];

export interface Entity {
  /** The label with `none`, else the tag: `PER` of `B-PER` and `I-PER`. */
  readonly label: string;
  readonly score: number;
  /** As the tokenizer writes it; the text itself is found by `start` and `end`. */
  readonly word: string;
  /** Where it begins and ends, in code points of the text. */
  readonly start: number;
  readonly end: number;
  /** With `none`: the token's number, special tokens counted. */
  readonly index?: number;
}

/** A token of a text; special tokens that were put around the text are none. */
export interface TextToken {
  /** As the vocabulary writes it. */
  readonly piece: string;
  /** Where it begins and ends, in code points. */
  readonly start: number;
  readonly end: number;
  /** Whether it stands for what the vocabulary does not hold. */
  readonly isUnknown: boolean;
}

/** A part of a text that ran as one row. */
export interface Chunk {
  readonly tokens: readonly TextToken[];
  /** Special tokens before the first one. */
  readonly before: number;
  /** Logits of all its tokens, special ones included: one row of labels after the other. */
  readonly logits: Logits;
}

/** What a tokenizer knows of words. */
export interface WordRules {
  /** Tokens that go on with a word have a prefix, as WordPiece has `##`. Otherwise blanks of the text divide words. */
  readonly hasPrefix: boolean;
  /** Writes tokens as a text. */
  readonly join: (pieces: readonly string[]) => string;
}

/** @throws PlimsollError INVALID_REQUEST where the options contradict one another */
export function checkTokenOptions({ aggregation, stride }: TokenOptions): void {
  if (stride === undefined || aggregation !== 'none') return;
  const reason = `stride is ${stride}, which joins the entities of chunks: with the aggregation none there is nothing to join, so choose simple, first, average or max`;
  throw new PlimsollError('INVALID_REQUEST', reason);
}

/**
 * 1. Each token's scores: softmax in single precision.
 * 2. `none`: its best label. `simple`: the same, then neighbours of one tag are one. Otherwise words have one label
 *    each, then neighbours of one tag are one.
 * 3. What is to be ignored is left out.
 * 4. Of several chunks: where entities overlap, the longest stays, of equally long ones the surest.
 *
 * @param text with no half characters
 * @param chunks in the order in which the text was cut
 */
export function entitiesOf(
  text: string,
  chunks: readonly Chunk[],
  labels: readonly string[],
  rules: WordRules,
  { aggregation, ignoreLabels }: TokenOptions,
): readonly Entity[] {
  const points = new CodePoints(text);
  const found = chunks.flatMap((chunk) => {
    const tokens = scoredTokens(points, chunk, labels.length, rules.hasPrefix); // 1
    const single = tokens.map((token): Entity => best(token, labels));
    const entities =
      aggregation === 'none'
        ? single
        : groupsOf(
            aggregation === 'simple' ? single : wordsOf(tokens, labels, aggregation, rules.join),
            rules.join,
          ); // 2
    return entities.filter(({ label }) => !ignoreLabels.includes(label)); // 3
  });
  const kept = chunks.length > 1 ? withoutOverlaps(found) : found; // 4
  return kept.map((entity) => ({ ...entity, score: rounded(entity.score) }));
}

function scoredTokens(
  points: CodePoints,
  { tokens, before, logits }: Chunk,
  labelCount: number,
  hasPrefix: boolean,
): readonly ScoredToken[] {
  return tokens.map(({ piece, start, end, isUnknown }, at) => {
    const index = before + at;
    const begin = index * labelCount;
    const scores = softmax32(logits.subarray(begin, begin + labelCount));
    const written = points.slice(start, end);
    const isContinuation = hasPrefix
      ? CodePoints.count(piece) !== CodePoints.count(written)
      : start > 0 && !points.slice(start - 1, start + 1).includes(' ');
    return {
      ...{ index, scores, start, end },
      // An unknown token is a word of its own, written as the text writes it.
      word: isUnknown ? written : piece,
      isContinuation: isContinuation && !isUnknown,
    };
  });
}

function best({ index, scores, start, end, word }: ScoredToken, labels: readonly string[]): Entity {
  const label = indexOfLargest(scores);
  return { label: labels[label] ?? '', score: scores[label] ?? 0, word, start, end, index };
}

/** Every step is rounded to single precision: where scores are equal there, the first one counts. */
function softmax32(row: Logits): Float32Array {
  let most = Number.NEGATIVE_INFINITY;
  for (const value of row) most = Math.max(most, value);
  const powers = Float32Array.from(row, (value) => Math.exp(Math.fround(value - most)));
  let sum = 0;
  for (const power of powers) sum = Math.fround(sum + power);
  return powers.map((power) => power / sum);
}

function withoutOverlaps(entities: readonly Entity[]): readonly Entity[] {
  const sorted = [...entities].sort((a, b) => a.start - b.start);
  const kept: Entity[] = [];
  let last = sorted[0];
  if (last === undefined) return kept;
  for (const entity of sorted) {
    if (entity.start >= last.start && entity.start < last.end) {
      const [length, lastLength] = [entity.end - entity.start, last.end - last.start];
      const isBetter = length > lastLength || (length === lastLength && entity.score > last.score);
      if (isBetter) last = entity;
    } else {
      kept.push(last);
      last = entity;
    }
  }
  return [...kept, last];
}
