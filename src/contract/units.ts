/** The units of the interface: MB of 2^20 bytes, milliseconds, ISO 8601. */

const MB = 2 ** 20;

/** To a thousandth. */
function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

/** Bytes as MB, to about one KB. */
export function toMb(bytes: number): number {
  return rounded(bytes / MB);
}

export function toMbOrNull(bytes: number | null | undefined): number | null {
  return bytes === null || bytes === undefined ? null : toMb(bytes);
}

/** Milliseconds to a microsecond. */
export function toMs(ms: number): number {
  return rounded(ms);
}

export function toPercent(percent: number): number {
  return rounded(percent);
}

/** @param atMs milliseconds since 1970. */
export function toInstant(atMs: number): string {
  return new Date(atMs).toISOString();
}

export function toInstantOrNull(atMs: number | null | undefined): string | null {
  return atMs === null || atMs === undefined ? null : toInstant(atMs);
}
