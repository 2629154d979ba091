/** A piece of a text: plain, or one entity. */
export interface Piece<E> {
  readonly text: string;
  readonly entity: E | undefined;
}

/**
 * Divides a text at its entities. Pure. `start` and `end` count code points, so that an emoji counts as one.
 *
 * 1. Entities in the order of the text; of two that overlap the second one begins where the first ends.
 * 2. What lies between them is plain.
 */
export function piecesOf<E extends { readonly start: number; readonly end: number }>(
  text: string,
  entities: readonly E[],
): readonly Piece<E>[] {
  const points = Array.from(text);
  const between = (start: number, end: number) => points.slice(start, end).join('');
  const pieces: Piece<E>[] = [];
  let at = 0;
  for (const entity of entities.toSorted((a, b) => a.start - b.start || a.end - b.end)) {
    const start = Math.max(at, entity.start); // 1
    if (start > at) pieces.push({ text: between(at, start), entity: undefined }); // 2
    at = Math.max(start, entity.end);
    pieces.push({ text: between(start, at), entity });
  }
  if (at < points.length) pieces.push({ text: between(at, points.length), entity: undefined });
  return pieces;
}
