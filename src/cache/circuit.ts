/** Circuit breaker. `closed`: in use; `open`: not used; `trying`: one probe is in flight. */
export type CircuitState = 'closed' | 'open' | 'trying';

export interface Circuit {
  readonly state: CircuitState;
  /** Failures since the last success. */
  readonly failures: number;
  /** Time of the last opening, ms; 0 if never. */
  readonly openedAtMs: number;
}

export type CircuitEvent = 'succeeded' | 'failed' | 'asked';

export const CLOSED: Circuit = { state: 'closed', failures: 0, openedAtMs: 0 };

export interface CircuitLimits {
  /** Consecutive failures after which it opens. */
  readonly failures: number;
  /** Time from opening to the next probe, ms. */
  readonly pauseMs: number;
}

/**
 * The state after an event.
 *
 * 1. A success while closed or trying closes the circuit and resets the failure count.
 * 2. A late success while open changes nothing: the next probe decides.
 * 3. A failed probe opens it again for a whole pause.
 * 4. Enough consecutive failures open it; fewer are counted.
 * 5. A late failure while open changes nothing: it must not delay the next probe.
 * 6. Asked while open and after the pause: this caller sends the probe.
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
  const pauseIsOver = timeMs - now.openedAtMs >= limits.pauseMs;
  return now.state === 'open' && pauseIsOver ? { ...now, state: 'trying' } : now; // 6
}
