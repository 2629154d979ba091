import { api } from './api.js';
import { Feed, type Link } from './feed.js';
import { History } from './history.js';
import { Marks } from './marks.js';
import type { Mark, SessionView, State } from './wire.js';

/** Past sessions that the page keeps. */
const MAX_PAST = 60;
const HISTORY_MS = 30 * 60_000;
const DAY_MS = 24 * 3_600_000;
const MAX_RECEIPTS = '150';
const MAX_LOADS = '60';

/**
 * Everything that the page knows of the server, kept up to date. Whoever shows it is told of changes
 * once a frame at most, however many events come.
 */
export class Live {
  readonly history = new History();
  readonly marks = new Marks();
  state: State | undefined;
  link: Link = { state: 'connecting' };
  past: readonly SessionView[] = [];
  /** Events since the page was opened. */
  events = 0;
  /** Version of the server that this page came from. */
  #version: string | undefined;
  /** States that came while what was before them is still asked for; undefined when that is there. */
  #early: State[] | undefined;
  #isCaughtUp = false;
  readonly #listeners = new Set<() => void>();
  #isPlanned = false;

  constructor() {
    new Feed({
      onState: (state) => this.#takeState(state),
      onMark: (mark) => this.#takeMark(mark),
      onLink: (link) => this.#takeLink(link),
    });
  }

  /** The server was replaced by another version since the page was loaded. */
  get isOutdated(): boolean {
    return this.state !== undefined && this.state.version !== this.#version;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A day of minutes: fetched when somebody looks at it. */
  async fetchDay(): Promise<void> {
    const nowMs = this.state === undefined ? Date.now() : Date.parse(this.state.at);
    const { minutes } = await api.readings(new Date(nowMs - DAY_MS).toISOString());
    this.history.replaceMinutes(minutes);
    this.#changed();
  }

  #takeState(state: State): void {
    this.events += 1;
    this.state = state;
    this.#version ??= state.version;
    if (this.#early !== undefined) this.#early.push(state);
    else if (this.#isCaughtUp) this.history.addState(state);
    else void this.#catchUp(state);
    this.#changed();
  }

  #takeMark(mark: Mark): void {
    this.events += 1;
    this.marks.add(mark);
    if (mark.ended !== undefined) {
      const ended = { ...mark.ended, cleanup: mark.receipt ?? null };
      this.past = [ended, ...this.past.filter(({ id }) => id !== ended.id)].slice(0, MAX_PAST);
    }
    this.#changed();
  }

  #takeLink(link: Link): void {
    this.link = link;
    // What happens from now on until it is back is asked for then.
    if (link.state !== 'live') this.#isCaughtUp = false;
    this.#changed();
  }

  /** What happened before the first state, on the server's own clock. */
  async #catchUp(state: State): Promise<void> {
    this.#isCaughtUp = true;
    this.#early = [state];
    const lastMs = this.history.seconds.lastTime * 1000 + 1;
    const sinceMs = Math.max(Date.parse(state.at) - HISTORY_MS, lastMs);
    const since = new Date(sinceMs).toISOString();
    // Each part is shown if the others fail; the stream goes on in any case.
    const [readings, processes, sessions, receipts, loads] = await Promise.allSettled([
      api.readings(since),
      api.processes(),
      api.sessions(MAX_PAST),
      api.receipts({ since, limit: MAX_RECEIPTS }),
      api.loads(since, MAX_LOADS),
    ]);
    this.history.addReadings(
      readings.status === 'fulfilled' ? readings.value.seconds : [],
      processes.status === 'fulfilled' ? processes.value : { names: [], readings: [] },
    );
    if (sessions.status === 'fulfilled') {
      this.past = sessions.value.filter((session) => session.ended_at !== null);
    }
    if (receipts.status === 'fulfilled') this.marks.addReceipts(receipts.value, this.past);
    if (loads.status === 'fulfilled') this.marks.addLoads(loads.value);
    for (const early of this.#early) this.history.addState(early);
    this.#early = undefined;
    this.#changed();
  }

  #changed(): void {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    // A hidden tab draws nothing; what it missed is there when it is looked at.
    requestAnimationFrame(() => {
      this.#isPlanned = false;
      for (const listener of this.#listeners) listener();
    });
  }
}
