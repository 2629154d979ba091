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

/** What the format `date-time` accepts: the separator and the minutes of the offset are looser than in ISO 8601. */
const WRITTEN = /^(\d{4}-\d\d-\d\d)[t\s](\d\d):(\d\d):(\d\d)(\.\d+)?(?:z|([+-]\d\d):?(\d\d)?)$/i;
const MINUTE_MS = 60_000;

/**
 * Milliseconds since 1970 of a time that passed the format `date-time`. A leap second (`23:59:60`) is read as the second
 * after it, which is how clocks that count from 1970 have it. `Date.parse` knows neither it nor an offset of hours alone,
 * and its answer, no number, is one that no database can compare with.
 */
export function timeOf(written: string | undefined): number | undefined {
  if (written === undefined) return undefined;
  const [, date, hours, minutes, seconds, fraction = '0', offsetHours = '0', offsetMinutes = '0'] =
    WRITTEN.exec(written) ?? [];
  const sign = offsetHours.startsWith('-') ? -1 : 1;
  const offset = Number(offsetHours) * 60 + sign * Number(offsetMinutes);
  const inDay = Number(hours) * 60 + Number(minutes) - offset;
  const inMinute = Number(seconds) * 1000 + Math.floor(Number(fraction) * 1000);
  return Date.parse(`${date}T00:00:00Z`) + inDay * MINUTE_MS + inMinute;
}
