/** `closed`: in use; `open`: left alone; `trying`: one attempt is out to see whether it is back. */
export type CircuitState = 'closed' | 'open' | 'trying';

export interface Circuit {
  readonly state: CircuitState;
  /** Failures since the last success. */
  readonly failures: number;
  /** When it was last opened, ms; 0 if never. */
  readonly openedAtMs: number;
}

export type CircuitEvent = 'succeeded' | 'failed' | 'asked';

export const CLOSED: Circuit = { state: 'closed', failures: 0, openedAtMs: 0 };

export interface CircuitLimits {
  /** Failures in a row after which it opens. */
  readonly failures: number;
  /** How long it is left alone before one attempt, ms. */
  readonly pauseMs: number;
}

/**
 * What the circuit is after an event.
 *
 * 1. Success of a request sent while it was closed or trying closes it and forgets the failures.
 * 2. A late success while open changes nothing: the next attempt decides.
 * 3. A failed attempt opens it again, for a whole pause.
 * 4. Enough failures in a row open it; fewer are counted.
 * 5. A late failure while open changes nothing: it must not put off the next attempt.
 * 6. Asked while open, after the pause: this caller makes the one attempt.
 */
export function nextCircuit(
  now: Circuit,
  event: CircuitEvent,
  timeMs: number,
  limits: CircuitLimits,
): Circuit {
  if (event === 'succeeded') return now.state === 'open' ? now : CLOSED; // 1, 2
  if (event === 'failed') {
    if (now.state === 'open') return now; // 5
    const failures = now.failures + 1;
    const opens = now.state === 'trying' || failures >= limits.failures;
    if (opens) return { state: 'open', failures, openedAtMs: timeMs }; // 3, 4
    return { ...now, failures }; // 4
  }
  const rested = timeMs - now.openedAtMs >= limits.pauseMs;
  return now.state === 'open' && rested ? { ...now, state: 'trying' } : now; // 6
}
