const number = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat('en-US', {
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});
const time = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });

/** Stands for a figure that was not measured. */
export const NOTHING = '–';

export function count(value: number): string {
  return number.format(value);
}

/** MB: with one decimal below 1,000, without above. */
export function mb(value: number | null): string {
  if (value === null) return NOTHING;
  if (Math.abs(value) >= 1000) return number.format(value);
  // No "-0.0".
  return tenth.format(Math.abs(value) < 0.05 ? 0 : value).replace('-', '−');
}

/** MB with its sign, for a change. */
export function signedMb(value: number): string {
  const words = tenth.format(Math.abs(value));
  if (words === '0.0') return words;
  return value < 0 ? `−${words}` : `+${words}`;
}

export function ms(value: number | null): string {
  if (value === null) return NOTHING;
  if (value >= 10_000) return `${tenth.format(value / 1000)} s`;
  if (value >= 100) return `${number.format(value)} ms`;
  return `${tenth.format(value)} ms`;
}

export function percent(share: number): string {
  const isFine = share < 0.1 || (share > 0.995 && share < 1);
  return `${(share * 100).toFixed(isFine ? 1 : 0)} %`;
}

/** A duration in the largest unit that keeps two digits. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 120) return `${whole} s`;
  if (whole < 7200) return `${Math.round(whole / 60)} min`;
  if (whole < 172_800) return `${Math.round(whole / 3600)} h`;
  return `${Math.round(whole / 86_400)} d`;
}

/** Time of day, with the date where it is not the day of `nowIso`. */
export function clock(iso: string, nowIso?: string): string {
  const at = new Date(iso);
  const other = nowIso !== undefined && day.format(at) !== day.format(new Date(nowIso));
  return other ? `${day.format(at)}, ${time.format(at)}` : time.format(at);
}

export function plural(value: number, what: string): string {
  return `${count(value)} ${what}${value === 1 ? '' : 's'}`;
}

/** A name from the wire, such as `collect_garbage`, in words. */
export function words(name: string): string {
  return name.replaceAll('_', ' ');
}

/** Whose a session is that was opened for a shard of a job. */
export function jobText({ id, shard }: { readonly id: string; readonly shard: number }): string {
  return `job ${id}, shard ${shard}`;
}
