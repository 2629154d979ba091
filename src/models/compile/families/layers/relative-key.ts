/**
 * Positions as terms of attention (Shaw et al., arXiv:1803.02155; Huang et al., arXiv:2009.13658, methods 2 and
 * 4): each query, and with `relative_key_query` each key too, is multiplied with an embedding of the distance.
 */
import type { Module, Value } from '../network/network.js';
import { keysAsRows, scaledProduct } from './attention.js';
import { listByDistance, placeByDistance } from './distances.js';

export interface RelativeKeyShape {
  readonly positionType: 'absolute' | 'relative_key' | 'relative_key_query';
  readonly headSize: number;
  readonly maxPositions: number;
}

/** The terms, [batch, heads, sequence, sequence] each; none where positions are absolute. */
export function relativeKeyTerms(
  module: Module,
  {
    query,
    keys,
    divisor,
  }: { readonly query: Value; readonly keys: Value; readonly divisor: number },
  shape: RelativeKeyShape,
): readonly Value[] {
  if (shape.positionType === 'absolute') return [];
  const { headSize, maxPositions } = shape;
  const distances = module.at('distance_embedding');
  const table = distances.parameter('weight', [2 * maxPositions - 1, headSize]);
  const products = (rows: Value, key: string, rowOf: (distance: number) => number): Value => {
    const list = listByDistance(module, key, maxPositions, (distance) =>
      // The last distance of the list has no row, and is not used.
      Math.min(2 * maxPositions - 2, Math.max(0, rowOf(distance))),
    );
    const chosen = distances.apply('Gather', [table, list]);
    const columns = distances.apply('Transpose', [chosen], { perm: [1, 0] });
    return placeByDistance(distances, scaledProduct(distances, rows, columns, divisor));
  };
  // The table's rows stand for query − key + maxPositions − 1.
  const ofQuery = products(query, 'keys_by_distance', (far) => maxPositions - 1 - far);
  if (shape.positionType === 'relative_key') return [ofQuery];
  const rows = keysAsRows(distances, keys);
  const ofKeys = products(rows, 'queries_by_distance', (far) => maxPositions - 1 + far);
  return [ofQuery, distances.apply('Transpose', [ofKeys], { perm: [0, 1, 3, 2] })];
}
