import { LRUCache } from 'lru-cache';
import type { Caller } from './keyring.js';

/** What a limit says to one request. */
export interface LimitVerdict {
  readonly limit: number;
  readonly remaining: number;
  /** Whole seconds until the limit is full again. */
  readonly resetSeconds: number;
  /** Why the request is refused; undefined: it may go on. */
  readonly refusal: string | undefined;
  /** Whether it asks for more than a whole window holds: waiting does not help. */
  readonly isBeyond: boolean;
}

/** Grants parts of a limit to the servers that share it. */
export interface SharedLimits {
  /**
   * Takes up to `wanted` from what is left of a window.
   *
   * @returns what was granted and when the window ends, from now; undefined where there is no answer in time.
   */
  take(
    window: WindowId,
    wanted: number,
  ): Promise<{ readonly granted: number; readonly endsInMs: number } | undefined>;
}

/** Which window of which key. */
export interface WindowId {
  readonly key: string;
  readonly kind: 'requests' | 'inputs';
  readonly limit: number;
  readonly windowMs: number;
}

/** A server takes this part of a shared limit at a time: it then decides alone for as many requests. */
const LEASES_PER_WINDOW = 20;
/** Keys whose windows are remembered: as many as there can be, and the server's own. */
const REMEMBERED_KEYS = 10_001;

/** The windows of one key that have begun. */
type KeyWindows = Partial<Record<WindowId['kind'], Window>>;

interface Window extends WindowId {
  used: number;
  /** What this server may let pass in the window. */
  granted: number;
  endsAtMs: number;
  /** Nothing is left in the window on any server. */
  exhausted: boolean;
}

/**
 * Requests a second and inputs a minute of each key. A window begins with the first request after the last one ended.
 * Alone, a server counts for itself. Where servers share Redis, each takes a twentieth of the limit from it at a time,
 * so that all of them together never let more pass than the limit; while Redis does not answer each counts alone.
 */
export class KeyLimits {
  /** By the key's name, so that no request makes and hashes a string of its own. */
  readonly #windows = new LRUCache<string, KeyWindows>({ max: REMEMBERED_KEYS });
  readonly #shared: SharedLimits | undefined;
  readonly #now: () => number;

  constructor(shared: SharedLimits | undefined, now: () => number = () => performance.now()) {
    this.#shared = shared;
    this.#now = now;
  }

  /** One request. @returns undefined for a key without this limit. */
  takeRequest(caller: Caller): LimitVerdict | Promise<LimitVerdict> | undefined {
    const { keyName: key, requestsPerSecond: limit } = caller;
    if (limit === undefined) return undefined;
    return this.#take({ key, kind: 'requests', limit, windowMs: 1000 }, 1);
  }

  /** Inputs of one request. @returns undefined for a key without this limit. */
  takeInputs(caller: Caller, count: number): LimitVerdict | Promise<LimitVerdict> | undefined {
    const { keyName: key, inputsPerMinute: limit } = caller;
    if (limit === undefined) return undefined;
    return this.#take({ key, kind: 'inputs', limit, windowMs: 60_000 }, count);
  }

  /**
   * 1. A whole window does not hold as much: the request is refused for good.
   * 2. What this server may let pass is enough: the request passes.
   * 3. More may be had from the shared limit: it is asked for, and then decides.
   * 4. Else the request is refused until the window ends.
   */
  #take(id: WindowId, count: number): LimitVerdict | Promise<LimitVerdict> {
    const window = this.#windowOf(id);
    if (count > id.limit) {
      const refusal = `the request has ${count} inputs, and the key's limit is ${id.limit} a minute: send fewer at a time`;
      return { ...this.#verdict(window, refusal), isBeyond: true }; // 1
    }
    if (window.used + count <= window.granted) return this.#pass(window, count); // 2
    const shared = this.#shared;
    if (shared === undefined || window.exhausted) {
      return this.#verdict(window, refusalOf(id, count)); // 4
    }
    return this.#ask(shared, window, count); // 3
  }

  async #ask(shared: SharedLimits, window: Window, count: number): Promise<LimitVerdict> {
    const missing = window.used + count - window.granted;
    const wanted = Math.max(missing, Math.ceil(window.limit / LEASES_PER_WINDOW));
    const taken = await shared.take(window, wanted);
    if (taken === undefined) {
      // A part at a time here too: one late answer must not cost the other servers a whole window.
      window.granted = Math.min(window.limit, window.granted + wanted);
    } else {
      window.granted += taken.granted;
      window.endsAtMs = this.#now() + taken.endsInMs;
      if (taken.granted < wanted) window.exhausted = true;
    }
    if (window.used + count <= window.granted) return this.#pass(window, count);
    return this.#verdict(window, refusalOf(window, count));
  }

  #windowOf(id: WindowId): Window {
    const ofKey = this.#windows.get(id.key) ?? {};
    const known = ofKey[id.kind];
    const nowMs = this.#now();
    const runs = known !== undefined && nowMs < known.endsAtMs ? known : undefined;
    if (runs?.limit === id.limit) return runs;
    const window: Window = {
      ...id,
      // Another limit of the key does not give back what was used.
      used: runs?.used ?? 0,
      granted: this.#shared === undefined ? id.limit : Math.min(runs?.granted ?? 0, id.limit),
      endsAtMs: runs?.endsAtMs ?? nowMs + id.windowMs,
      exhausted: false,
    };
    ofKey[id.kind] = window;
    this.#windows.set(id.key, ofKey);
    return window;
  }

  #pass(window: Window, count: number): LimitVerdict {
    window.used += count;
    return this.#verdict(window, undefined);
  }

  #verdict({ limit, used, endsAtMs }: Window, refusal: string | undefined): LimitVerdict {
    const resetSeconds = Math.max(0, Math.ceil((endsAtMs - this.#now()) / 1000));
    return { limit, remaining: Math.max(0, limit - used), resetSeconds, refusal, isBeyond: false };
  }
}

function refusalOf({ kind, limit }: WindowId, count: number): string {
  if (kind === 'requests') return `the key has used up its ${limit} requests of this second`;
  return `the key has no ${count} of its ${limit} inputs of this minute left`;
}
