/** Tokens to words, and words of one tag to entities: the rules of transformers' TokenClassificationPipeline. Pure. */

/** A token with what a model says of it. */
export interface ScoredToken {
  readonly index: number;
  readonly word: string;
  readonly start: number;
  readonly end: number;
  /** Of each label. */
  readonly scores: Float32Array;
  /** Whether it goes on with the word of the token before. */
  readonly isContinuation: boolean;
}

/** A token, a word or an entity with the label that it was given. */
interface Labelled {
  readonly label: string;
  readonly score: number;
  readonly word: string;
  readonly start: number;
  readonly end: number;
}

type Join = (pieces: readonly string[]) => string;

/** Words with one label each. */
export function wordsOf(
  tokens: readonly ScoredToken[],
  labels: readonly string[],
  aggregation: 'first' | 'average' | 'max',
  join: Join,
): readonly Labelled[] {
  const words: ScoredToken[][] = [];
  for (const token of tokens) {
    const word = words.at(-1);
    // The first token begins a word even where its place in the text says otherwise.
    if (word !== undefined && token.isContinuation) word.push(token);
    else words.push([token]);
  }
  return words.map((word) => {
    const scores = scoresOfWord(word, aggregation);
    const label = indexOfLargest(scores);
    return {
      ...{ label: labels[label] ?? '', score: scores[label] ?? 0 },
      word: join(word.map((token) => token.word)),
      ...placeOf(word),
    };
  });
}

function scoresOfWord(word: readonly ScoredToken[], aggregation: string): Float32Array {
  const [first] = word;
  if (first === undefined || aggregation === 'first') return first?.scores ?? new Float32Array();
  if (aggregation === 'average') {
    return first.scores.map((_, label) => mean(word.map(({ scores }) => scores[label] ?? 0)));
  }
  const surest = indexOfLargest(word.map(({ scores }) => scores[indexOfLargest(scores)] ?? 0));
  return word[surest]?.scores ?? first.scores;
}

/** Joins neighbours of one tag. A `B-` begins an entity of its own. */
export function groupsOf(entities: readonly Labelled[], join: Join): readonly Labelled[] {
  const groups: Labelled[][] = [];
  for (const entity of entities) {
    const group = groups.at(-1);
    const last = group?.at(-1);
    const { isBegin, tag } = tagOf(entity.label);
    if (group !== undefined && last !== undefined && !isBegin && tag === tagOf(last.label).tag) {
      group.push(entity);
    } else {
      groups.push([entity]);
    }
  }
  return groups.map((group) => ({
    label: afterHyphen(group[0]?.label ?? ''),
    score: mean(group.map(({ score }) => score)),
    // Words of several tokens are joined a second time here: so does the pipeline.
    word: join(group.map(({ word }) => word)),
    ...placeOf(group),
  }));
}

/** The first of the largest. */
export function indexOfLargest(values: ArrayLike<number>): number {
  let found = 0;
  for (let at = 1; at < values.length; at += 1) {
    if ((values[at] ?? 0) > (values[found] ?? 0)) found = at;
  }
  return found;
}

/** A label without a prefix goes on with its own kind. */
function tagOf(label: string): { readonly isBegin: boolean; readonly tag: string } {
  const isBegin = label.startsWith('B-');
  return { isBegin, tag: isBegin || label.startsWith('I-') ? label.slice(2) : label };
}

/** What stands behind the first hyphen, whatever stands before it; all of a label without one. */
function afterHyphen(label: string): string {
  return label.slice(label.indexOf('-') + 1);
}

interface Place {
  readonly start: number;
  readonly end: number;
}

function placeOf(parts: readonly Place[]): Place {
  return { start: parts[0]?.start ?? 0, end: parts.at(-1)?.end ?? 0 };
}

/** In single precision. */
function mean(values: readonly number[]): number {
  return Math.fround(values.reduce((sum, value) => sum + value, 0) / values.length);
}
