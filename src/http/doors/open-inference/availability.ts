/** Whether a model is ready, in the protocol's sense. */
import type { ModelView } from '../../../contract/models.js';

export interface Availability {
  readonly state: 'READY' | 'UNAVAILABLE';
  readonly reason: string;
}

type Facts = Pick<ModelView, 'state' | 'reason' | 'last_used_at'>;

/**
 * Whether a model is ready:
 *
 * 1. One that cannot be used is not.
 * 2. One that is loaded is.
 * 3. One that was unloaded through this door is not, until it is loaded or used again: who unloads a model looks for that.
 * 4. Any other is: its first request loads it.
 *
 * @param unloadedAtMs when it was unloaded through this door, ms since 1970.
 */
export function availabilityOf(
  { state, reason, last_used_at: usedAt }: Facts,
  unloadedAtMs: number | undefined,
): Availability {
  if (state === 'broken') return { state: 'UNAVAILABLE', reason: reason ?? 'it cannot be used' }; // 1
  if (state === 'loaded') return { state: 'READY', reason: '' }; // 2
  const isUsedSince = usedAt !== null && Date.parse(usedAt) > (unloadedAtMs ?? 0);
  if (unloadedAtMs !== undefined && !isUsedSince) {
    return { state: 'UNAVAILABLE', reason: 'unloaded' }; // 3
  }
  return { state: 'READY', reason: 'not loaded: the first request loads it' }; // 4
}

/** Remembers which models were unloaded through this door. */
export class Unloads {
  readonly #atMs = new Map<string, number>();

  loaded(model: string): void {
    this.#atMs.delete(model);
  }

  unloaded(model: string): void {
    this.#atMs.set(model, Date.now());
  }

  availabilityOf(model: Facts & Pick<ModelView, 'id'>): Availability {
    return availabilityOf(model, this.#atMs.get(model.id));
  }
}
