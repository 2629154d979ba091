/** Length of a piece of a large answer: about half a millisecond of writing. */
const SLICE_CHARACTERS = 64 * 1024;

/** Things that an answer consists of: lists count with what they hold. */
export function countOf(results: readonly unknown[]): number {
  return results.reduce<number>((sum, of) => sum + (Array.isArray(of) ? of.length : 1), 0);
}

/** The JSON of a list in pieces, lists in it included, between two texts. */
export function* jsonSlices(
  list: readonly unknown[],
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
  list: readonly unknown[],
): Generator<string, void> {
  const open = JSON.stringify(head).slice(0, -1);
  const comma = open === '{' ? '' : ',';
  return jsonSlices(list, `${open}${comma}${JSON.stringify(field)}:`, '}');
}

function* piecesOf(list: readonly unknown[]): Generator<string, void> {
  yield '[';
  for (let index = 0; index < list.length; index += 1) {
    if (index > 0) yield ',';
    const item = list[index];
    if (Array.isArray(item)) yield* piecesOf(item);
    // What has no JSON stands as null in a list, as JSON.stringify has it.
    else yield JSON.stringify(item) ?? 'null';
  }
  yield ']';
}
