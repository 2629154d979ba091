import { randomBytes } from 'node:crypto';
import type { PullView } from '../contract/models.js';
import { toInstant, toInstantOrNull, toMb, toMbOrNull } from '../contract/units.js';
import { messageOf, PlimsollError } from '../errors.js';
import { HubError } from './pull/hub-error.js';
import { parseHubId } from './pull/hub-id.js';
import type { PulledModel, PullProgress } from './pull/pull.js';
import { PullMeter } from './pull/pull-meter.js';

export interface ModelPullsOptions {
  /** The setting `hub.pull`. */
  readonly isAllowed: boolean;
  readonly maxRunning: number;
  readonly maxWaiting: number;
  /** Fetches a model into the hub's cache. */
  readonly fetch: (
    model: string,
    signal: AbortSignal,
    onProgress: (progress: PullProgress) => void,
  ) => Promise<PulledModel>;
  /** Throws if a model of that id must not join. */
  readonly check: (id: string) => Promise<void>;
  /** Prepares and serves a model that was fetched. */
  readonly join: (pulled: PulledModel) => Promise<void>;
  /** Told of every pull that has ended. */
  readonly onEnd: (pull: PullView) => void;
}

interface Pull {
  readonly id: string;
  readonly model: string;
  readonly startedAtMs: number;
  readonly meter: PullMeter;
  readonly stop: AbortController;
  state: PullView['state'];
  endedAtMs: number | undefined;
  reason: string | undefined;
  /** Settles when it is fetched, or is fetched no longer. */
  fetched: Promise<unknown> | undefined;
}

/** Pulls that have ended and are still told of. */
const MOST_ENDED = 20;
const SECONDS_DIGITS = 1;

/** Models that are fetched because somebody asked over HTTP: so many at once, the others wait their turn. */
export class ModelPulls {
  readonly #options: ModelPullsOptions;
  /** The oldest first. */
  readonly #pulls = new Map<string, Pull>();
  #isStopped = false;

  constructor(options: ModelPullsOptions) {
    this.#options = options;
  }

  get isAllowed(): boolean {
    return this.#options.isAllowed;
  }

  /** The newest first. */
  list(): readonly PullView[] {
    return [...this.#pulls.values()].reverse().map(viewOf);
  }

  /** @throws PlimsollError PULL_NOT_FOUND */
  show(id: string): PullView {
    return viewOf(this.#find(id));
  }

  /**
   * Starts one, or joins the one of this model that runs or waits:
   *
   * 1. Is it allowed here? Does the server go on?
   * 2. Is it the id of a model, and does nothing else have its name?
   * 3. Does the same pull run or wait? Then it is that one.
   * 4. Is there room among those that wait?
   *
   * @throws PlimsollError PULL_NOT_ALLOWED, SHUTTING_DOWN, INVALID_REQUEST, MODEL_EXISTS, TOO_MANY_PULLS
   */
  async start(model: string): Promise<PullView> {
    this.#assertAllowed(); // 1
    const wanted = asked(model); // 2
    await this.#options.check(wanted.id);
    if (this.#isStopped) throw new PlimsollError('SHUTTING_DOWN', 'the server is stopping');
    const name = `${wanted.id}@${wanted.revision}`;
    const open = [...this.#pulls.values()].filter(isOpen);
    const same = open.find((pull) => nameOf(pull.model) === name && !pull.stop.signal.aborted);
    if (same !== undefined) return viewOf(same); // 3
    const { maxRunning, maxWaiting } = this.#options;
    if (open.length >= maxRunning + maxWaiting) {
      const message = `${open.length} models are being fetched or wait for it (hub.max_pulls, hub.max_waiting)`;
      throw new PlimsollError('TOO_MANY_PULLS', message, { retryAfterSeconds: 30 }); // 4
    }
    const pull: Pull = {
      id: `pull_${randomBytes(8).toString('hex')}`,
      ...{ model, startedAtMs: Date.now(), meter: new PullMeter(), stop: new AbortController() },
      ...{ state: 'waiting', endedAtMs: undefined, reason: undefined, fetched: undefined },
    };
    this.#pulls.set(pull.id, pull);
    this.#forgetOld();
    this.#pump();
    return viewOf(pull);
  }

  /**
   * Cancels one; what it has fetched is kept for the next time. Settles when it is fetched no longer. One that is
   * being prepared already is left alone.
   *
   * @throws PlimsollError PULL_NOT_ALLOWED, PULL_NOT_FOUND
   */
  async cancel(id: string): Promise<PullView> {
    this.#assertAllowed();
    const pull = this.#find(id);
    if (pull.state === 'waiting' || pull.state === 'running') {
      pull.stop.abort();
      if (pull.state === 'waiting') this.#end(pull, 'cancelled');
      await pull.fetched;
    }
    return viewOf(pull);
  }

  /** Ends all; what they have fetched is kept. Those that are prepared end with the preparer. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    const open = [...this.#pulls.values()].filter(({ state }) => state === 'running');
    for (const { stop } of open) stop.abort();
    await Promise.all(open.map(({ fetched }) => fetched));
  }

  #assertAllowed(): void {
    if (!this.#options.isAllowed) {
      const message =
        'this server fetches no models over HTTP (hub.pull is false): whoever runs it can start it with "--set hub.pull=true", or fetch the model with "plimsoll pull"';
      throw new PlimsollError('PULL_NOT_ALLOWED', message);
    }
  }

  #find(id: string): Pull {
    const pull = this.#pulls.get(id);
    if (pull === undefined) throw new PlimsollError('PULL_NOT_FOUND', `there is no pull ${id}`);
    return pull;
  }

  /** Starts those that wait, the oldest first, while there is room. */
  #pump(): void {
    const pulls = [...this.#pulls.values()];
    let running = pulls.filter(({ state }) => state === 'running').length;
    for (const pull of pulls) {
      if (running >= this.#options.maxRunning || this.#isStopped) return;
      if (pull.state !== 'waiting') continue;
      running += 1;
      pull.state = 'running';
      void this.#run(pull).finally(() => this.#pump());
    }
  }

  async #run(pull: Pull): Promise<void> {
    const { fetch, join } = this.#options;
    try {
      const fetching = fetch(pull.model, pull.stop.signal, (progress) => pull.meter.take(progress));
      pull.fetched = fetching.then(
        () => undefined,
        () => undefined,
      );
      const pulled = await fetching;
      pull.state = 'preparing';
      // The next one may be fetched meanwhile.
      this.#pump();
      await join(pulled);
      this.#end(pull, 'done');
    } catch (error) {
      const isStopped = error instanceof HubError && error.kind === 'stopped';
      if (isStopped) this.#end(pull, 'cancelled');
      else this.#end(pull, 'failed', failureOf(error));
    }
  }

  #end(pull: Pull, state: PullView['state'], reason?: string): void {
    pull.state = state;
    pull.reason = reason;
    pull.endedAtMs = Date.now();
    // A server that stops keeps no more events.
    if (!this.#isStopped) this.#options.onEnd(viewOf(pull));
  }

  #forgetOld(): void {
    const ended = [...this.#pulls.values()].filter((pull) => !isOpen(pull));
    for (const { id } of ended.slice(0, Math.max(0, ended.length - MOST_ENDED))) {
      this.#pulls.delete(id);
    }
  }
}

function isOpen({ state }: Pull): boolean {
  return state === 'waiting' || state === 'running' || state === 'preparing';
}

function asked(model: string) {
  try {
    return parseHubId(model);
  } catch (error) {
    throw new PlimsollError('INVALID_REQUEST', messageOf(error));
  }
}

function nameOf(model: string): string {
  const { id, revision } = parseHubId(model);
  return `${id}@${revision}`;
}

function failureOf(error: unknown): string {
  const isUnusable = error instanceof PlimsollError && error.code === 'MODEL_UNUSABLE';
  return isUnusable ? `it was fetched, and cannot be served: ${error.message}` : messageOf(error);
}

function viewOf({ id, model, state, startedAtMs, endedAtMs, meter, reason }: Pull): PullView {
  const { commit, filesDone, filesTotal, doneBytes, totalBytes, bytesPerSecond } = meter.figures;
  const rate = state === 'running' ? bytesPerSecond : undefined;
  const left =
    totalBytes === undefined || rate === undefined || rate === 0
      ? null
      : Number((Math.max(0, totalBytes - doneBytes) / rate).toFixed(SECONDS_DIGITS));
  return {
    ...{ id, model, state, commit: commit ?? null },
    ...{ files_done: filesDone, files_total: filesTotal ?? null },
    ...{ done_mb: toMb(doneBytes), total_mb: toMbOrNull(totalBytes) },
    ...{ mb_per_s: toMbOrNull(rate), seconds_left: left },
    ...{ started_at: toInstant(startedAtMs), ended_at: toInstantOrNull(endedAtMs) },
    reason: reason ?? null,
  };
}
