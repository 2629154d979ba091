/** A viewer of an event stream, as far as it matters who keeps a place. */
export interface PlaceHolder {
  readonly joinedAtMs: number;
  /** How long it has not read all that was sent to it, ms; 0 for one that keeps up. */
  readonly stalledMs: number;
}

/** A viewer that has not kept up for so long gives way. */
const SLOW_MS = 2000;
/** One that seems to keep up has its place for so long at least, so that pages do not drive one another out in turns. */
const KEPT_MS = 10_000;

/**
 * Which viewer gives way to a new one where every place is taken:
 *
 * 1. The one that has not kept up for the longest time.
 * 2. Else the one that joined first: what it was sent may still lie unread in the system's buffers, which take minutes of
 *    events. A page that does read asks again and gets a place the same way.
 * 3. None, if all have joined just now.
 *
 * Pure. @param nowMs by the clock of `joinedAtMs`.
 */
export function whoGivesWay<V extends PlaceHolder>(
  viewers: Iterable<V>,
  nowMs: number,
): V | undefined {
  let slowest: V | undefined;
  let oldest: V | undefined;
  for (const viewer of viewers) {
    if (viewer.stalledMs > (slowest?.stalledMs ?? SLOW_MS)) slowest = viewer;
    if (oldest === undefined || viewer.joinedAtMs < oldest.joinedAtMs) oldest = viewer;
  }
  if (slowest !== undefined) return slowest; // 1
  const mayStay = oldest === undefined || nowMs - oldest.joinedAtMs < KEPT_MS;
  return mayStay ? undefined : oldest; // 2, 3
}
