/** What other callers do on the server meanwhile: a model that they use stays loaded, rightly. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ProofClient } from './client.js';

/** A server keeps a model for an open session that asked for it within 5 s; read a little later. */
const STILL_USED_MS = 6000;
/** Longest wait before the first session. A server with traffic of its own is proved all the same. */
const WAIT_MS = 20_000;
const LOOK_EVERY_MS = 500;
/** Open sessions come first; the others that fill the list are read in vain. */
const MAX_LISTED = 100;

interface OtherSession {
  requests: number;
  /** When its count of requests was last seen to grow, ms of the run's clock. */
  grewAtMs: number;
}

export interface OtherSessionsOptions {
  readonly client: ProofClient;
  readonly stop: AbortSignal;
  /** Milliseconds since the run began. */
  readonly now: () => number;
}

/** Follows the open sessions that are not the proof's own. */
export class OtherSessions {
  readonly #options: OtherSessionsOptions;
  readonly #known = new Map<string, OtherSession>();

  constructor(options: OtherSessionsOptions) {
    this.#options = options;
  }

  /**
   * Waits until no other session is at work, within a limit: a classification just before the proof would
   * keep its model in use over the first cleanup.
   *
   * @param onWait is told once that there is something to wait for.
   */
  async quiet(onWait: (sessions: number) => void): Promise<void> {
    const { now, stop } = this.#options;
    const untilMs = now() + WAIT_MS;
    let isTold = false;
    while (!stop.aborted && now() < untilMs) {
      const busy = await this.busy(null);
      if (busy === 0) return;
      if (!isTold) onWait(busy);
      isTold = true;
      await delay(LOOK_EVERY_MS, undefined, { signal: stop }).catch(() => undefined);
    }
  }

  /**
   * How many other sessions were at work within the last seconds; 0 where the server does not list its
   * sessions.
   *
   * @param own the proof's session.
   */
  async busy(own: string | null): Promise<number> {
    const reply = await this.#options.client.get(`/v1/sessions?limit=${MAX_LISTED}`);
    const nowMs = this.#options.now();
    const open = reply.ok ? openSessionsIn(reply.body).filter(({ id }) => id !== own) : [];
    for (const id of this.#known.keys()) {
      if (!open.some((session) => session.id === id)) this.#known.delete(id);
    }
    for (const { id, requests } of open) {
      const known = this.#known.get(id);
      if (known === undefined) this.#known.set(id, { requests, grewAtMs: nowMs });
      else if (requests > known.requests) Object.assign(known, { requests, grewAtMs: nowMs });
    }
    return [...this.#known.values()].filter(
      ({ requests, grewAtMs }) => requests > 0 && nowMs - grewAtMs <= STILL_USED_MS,
    ).length;
  }
}

function openSessionsIn(body: unknown): readonly { id: string; requests: number }[] {
  const sessions = typeof body === 'object' && body !== null && 'sessions' in body && body.sessions;
  if (!Array.isArray(sessions)) return [];
  return sessions.flatMap((session: unknown) => {
    if (typeof session !== 'object' || session === null) return [];
    const { id, state, requests } = session as Readonly<Record<string, unknown>>;
    const isOpen = state === 'open' || state === 'ending';
    return isOpen && typeof id === 'string' ? [{ id, requests: Number(requests) || 0 }] : [];
  });
}
