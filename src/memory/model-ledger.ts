/** Weight of the newest gap, and of the newest reload time, in the running means. */
const WEIGHT = 0.3;
/** Requests closer together than this are one burst; gaps are measured between bursts. */
const BURST_MS = 20;

interface Entry {
  lastArrivalMs: number;
  /** Milliseconds since 1970; null if it was opened but never asked. */
  lastUsedAtMs: number | null;
  gapMs: number | undefined;
  reloadMs: number | undefined;
}

/** Usage of each model that was ever asked for: gaps between requests, and load times. */
export class ModelLedger {
  readonly #entries = new Map<string, Entry>();
  readonly #now: () => number;

  constructor(now: () => number = performance.now.bind(performance)) {
    this.#now = now;
  }

  /** A request for the model has arrived. */
  arrived(model: string): void {
    const now = this.#now();
    const entry = this.#entries.get(model);
    if (entry === undefined) {
      this.#entries.set(model, newEntry(now, { lastUsedAtMs: Date.now() }));
      return;
    }
    const gap = now - entry.lastArrivalMs;
    entry.lastArrivalMs = now;
    entry.lastUsedAtMs = Date.now();
    if (gap < BURST_MS) return;
    entry.gapMs = entry.gapMs === undefined ? gap : mixed(entry.gapMs, gap);
  }

  /** The model was opened in a worker. */
  loaded(model: string, loadMs: number): void {
    const entry = this.#entries.get(model);
    const now = this.#now();
    if (entry === undefined) {
      this.#entries.set(model, newEntry(now, { reloadMs: loadMs }));
    } else {
      entry.reloadMs = entry.reloadMs === undefined ? loadMs : mixed(entry.reloadMs, loadMs);
    }
  }

  /** Mean gap between its requests, in ms; undefined before the second. */
  expectedGapMs(model: string): number | undefined {
    return this.#entries.get(model)?.gapMs;
  }

  /** Time of its last request, in milliseconds since 1970; null before the first. */
  lastUsedAtMs(model: string): number | null {
    return this.#entries.get(model)?.lastUsedAtMs ?? null;
  }

  idleMs(model: string): number {
    const last = this.#entries.get(model)?.lastArrivalMs;
    return last === undefined ? Number.POSITIVE_INFINITY : this.#now() - last;
  }

  reloadMs(model: string): number | undefined {
    return this.#entries.get(model)?.reloadMs;
  }
}

function newEntry(now: number, known: Partial<Entry>): Entry {
  return {
    lastArrivalMs: now,
    lastUsedAtMs: null,
    gapMs: undefined,
    reloadMs: undefined,
    ...known,
  };
}

function mixed(mean: number, newest: number): number {
  return mean * (1 - WEIGHT) + newest * WEIGHT;
}
