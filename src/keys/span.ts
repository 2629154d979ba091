const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
/** Ten years. */
const LONGEST_MS = 3650 * 86_400_000;

/** `90d`, `12h`, `30m`, `45s` in milliseconds; undefined for other text, and for more than ten years. */
export function parseSpan(written: string): number | undefined {
  const [, digits = '', unit = ''] = /^(\d{1,9})([smhd])$/.exec(written.trim()) ?? [];
  const ms = Number(digits) * (UNITS_MS[unit] ?? Number.NaN);
  return ms >= 0 && ms <= LONGEST_MS ? ms : undefined;
}
