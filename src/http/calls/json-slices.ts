/** Length of a piece of a large answer: about half a millisecond of writing. */
const SLICE_CHARACTERS = 64 * 1024;

/** Things that an answer consists of: lists count with what they hold. */
export function countOf(results: readonly unknown[]): number {
  return results.reduce<number>((sum, of) => sum + (Array.isArray(of) ? of.length : 1), 0);
}

/**
 * The JSON of a list in pieces, lists in it included, between two texts. Whatever can be iterated is a list: its items need not be there
 * before they are written.
 */
export function* jsonSlices(
  list: Iterable<unknown>,
  before = '',
  behind = '',
): Generator<string, void> {
  let slice = before;
  for (const piece of piecesOf(list)) {
    slice += piece;
    if (slice.length < SLICE_CHARACTERS) continue;
    yield slice;
    slice = '';
  }
  yield slice + behind;
}

/** The JSON of an object whose last field is a large list. */
export function objectSlices(
  head: Readonly<Record<string, unknown>>,
  field: string,
  list: Iterable<unknown>,
): Generator<string, void> {
  const open = JSON.stringify(head).slice(0, -1);
  const comma = open === '{' ? '' : ',';
  return jsonSlices(list, `${open}${comma}${JSON.stringify(field)}:`, '}');
}

function* piecesOf(list: Iterable<unknown>): Generator<string, void> {
  let between = '[';
  for (const item of list) {
    yield between;
    between = ',';
    if (isIterable(item)) yield* piecesOf(item);
    // What has no JSON stands as null in a list, as JSON.stringify has it.
    else yield JSON.stringify(item) ?? 'null';
  }
  yield between === '[' ? '[]' : ']';
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value;
}
