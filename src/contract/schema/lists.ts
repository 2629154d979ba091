import {
  closed,
  instant,
  type ObjectOf,
  optional,
  type Properties,
  type Schema,
  text,
} from './schema.js';

/** Items of a list that come without a `limit`. */
const USUAL_LIMIT = 100;

/** What lists are asked with: a span of time, and the number of items at most. */
const limit = {
  // Queries are text, and nothing is coerced.
  limit: optional(text({ pattern: '^[1-9][0-9]{0,2}$', default: String(USUAL_LIMIT) })),
};
export const since = { since: optional(instant('From this time on.')) };
const span = { ...since, until: optional(instant('Before this time.')) };

/** The query of a list. */
export function limited<const P extends Properties>(
  properties: P,
): Schema<ObjectOf<P & typeof limit>> {
  return closed({ ...properties, ...limit });
}

/** The query of a list of what has a time. */
export function limitedSpan<const P extends Properties>(
  properties: P,
): Schema<ObjectOf<P & typeof span & typeof limit>> {
  return closed({ ...properties, ...span, ...limit });
}

/** A span as the server works with it. */
export interface Span {
  /** Milliseconds since 1970. */
  readonly sinceMs: number | undefined;
  readonly untilMs: number | undefined;
  readonly limit: number;
}

export function limitOf(query: { readonly limit?: string }): number {
  return Number(query.limit ?? USUAL_LIMIT);
}

export function spanOf(query: {
  readonly since?: string;
  readonly until?: string;
  readonly limit?: string;
}): Span {
  return {
    sinceMs: timeOf(query.since),
    untilMs: timeOf(query.until),
    limit: limitOf(query),
  };
}

/** Milliseconds since 1970. */
export function timeOf(written: string | undefined): number | undefined {
  return written === undefined ? undefined : Date.parse(written);
}
