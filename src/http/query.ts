/** What lists are asked with: a span of time, and how many at most. */
export interface Span {
  readonly since?: string;
  readonly until?: string;
  readonly limit: string;
}

export const spanSchema = {
  since: { type: 'string', format: 'date-time' },
  until: { type: 'string', format: 'date-time' },
} as const;

/** The schema of a query with these fields and a limit. */
export function limitSchema(properties: Readonly<Record<string, unknown>>) {
  // Values are never coerced, and all of a query is text.
  const limit = { type: 'string', pattern: '^[1-9][0-9]{0,2}$', default: '100' };
  return {
    type: 'object',
    additionalProperties: false,
    properties: { ...properties, limit },
  } as const;
}

export function spanOf({ since, until, limit }: Span) {
  return { sinceMs: timeOf(since), untilMs: timeOf(until), limit: Number(limit) };
}

function timeOf(written: string | undefined): number | undefined {
  // JavaScript has no leap second, which RFC 3339 allows.
  return written === undefined ? undefined : Date.parse(written.replace(':60', ':59'));
}
