/** Seconds since 1970. */
export interface TimeRange {
  readonly from: number;
  readonly to: number;
}

/** What the chart can show at most, and what it shows at least, in seconds. */
export const DAY_SECONDS = 86_400;
const MIN_SECONDS = 20;
const MIN_ZOOM_SECONDS = 5;

/**
 * The range that ends now. Where less is known than the window holds, what is known fills it, down to
 * 20 seconds.
 *
 * @param oldest time of the oldest reading; 0 before the first
 */
export function latestRange(windowSeconds: number, oldest: number, now: number): TimeRange {
  return { from: Math.max(now - windowSeconds, Math.min(oldest, now - MIN_SECONDS)), to: now };
}

/**
 * The range made longer or shorter around its middle; around its end while that is now, which stays in
 * view. Undefined where it would be too short to show anything.
 */
export function zoomed(range: TimeRange, factor: number, now: number): TimeRange | undefined {
  const half = ((range.to - range.from) * factor) / 2;
  const to = range.to >= now ? range.to : (range.from + range.to) / 2 + half;
  const from = Math.max(to - 2 * half, now - DAY_SECONDS);
  return to - from >= MIN_ZOOM_SECONDS ? { from, to } : undefined;
}

/** The range moved by a share of its length, not beyond now. */
export function moved(range: TimeRange, share: number, now: number): TimeRange {
  const length = range.to - range.from;
  const to = Math.min(now, range.to + length * share);
  return { from: to - length, to };
}
