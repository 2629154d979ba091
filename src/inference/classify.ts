import { CacheKeys, type KeyScope } from '../cache/key.js';
import type { CachedResult } from '../cache/memory-tier.js';
import type { CacheSource, ResultCache, SourcedResult } from '../cache/result-cache.js';
import { SingleFlight, type Stop, unlessAborted } from '../cache/single-flight.js';
import { PlimsollError } from '../errors.js';
import type { Metrics } from '../metrics.js';
import { taskOf } from '../models/description.js';
import type { ModelLibrary, ReadyModel } from '../models/library.js';
import type { Dispatcher } from './dispatcher.js';

export interface ClassifyRequest {
  readonly model: string;
  readonly inputs: readonly string[];
  /** Whose request it is: users are served in turn. */
  readonly user: string;
  /** Labels of each result, the highest score first; all of them if undefined. */
  readonly topK: number | undefined;
}

export interface LabelScore {
  readonly label: string;
  readonly score: number;
}

export interface Classification {
  readonly model: string;
  /** One list for each input, the highest score first. */
  readonly results: readonly (readonly LabelScore[])[];
  readonly truncated: readonly boolean[];
  readonly cached: readonly CacheSource[];
  /** The key that each input has in the cache. */
  readonly inputHashes: readonly string[];
  readonly timing: {
    readonly queueMs: number;
    readonly tokenizeMs: number;
    readonly runMs: number;
  };
}

/** From texts to scores: cache → dispatcher → worker; what was computed goes into the cache. */
export class Classifier {
  readonly #library: ModelLibrary;
  readonly #dispatcher: Dispatcher;
  readonly #cache: ResultCache;
  readonly #metrics: Metrics;
  readonly #keys: CacheKeys;
  readonly #scopes = new WeakMap<ReadyModel, KeyScope>();
  readonly #flights = new SingleFlight<SourcedResult>();

  constructor(parts: {
    readonly library: ModelLibrary;
    readonly dispatcher: Dispatcher;
    readonly cache: ResultCache;
    readonly metrics: Metrics;
    readonly secret: string;
  }) {
    this.#library = parts.library;
    this.#dispatcher = parts.dispatcher;
    this.#cache = parts.cache;
    this.#metrics = parts.metrics;
    this.#keys = new CacheKeys(parts.secret);
  }

  /**
   * Without a promise where memory knows every input.
   *
   * @param stop its signal is asked for only where there is something to wait for.
   * @throws PlimsollError MODEL_NOT_FOUND, MODEL_UNUSABLE, QUEUE_FULL, WORKER_LOST; the signal's reason
   */
  classify(request: ClassifyRequest, stop: Stop): Classification | Promise<Classification> {
    const ready = this.#library.readyNow(request.model);
    if (ready !== undefined) return this.#answer(ready, request, stop);
    return unlessAborted(this.#library.ready(request.model), stop.signal).then((found) =>
      this.#answer(found, request, stop),
    );
  }

  #answer(
    ready: ReadyModel,
    request: ClassifyRequest,
    stop: Stop,
  ): Classification | Promise<Classification> {
    const scope = this.#scopeOf(ready);
    const keys: string[] = [];
    const rows: (SourcedResult | undefined)[] = [];
    let isKnown = true;
    // Loops, here and below: in the path of every known answer closures and copies add up.
    for (const input of request.inputs) {
      const key = this.#keys.of(scope, input);
      const result = this.#cache.memory.get(key);
      keys.push(key);
      rows.push(result && { result, source: 'memory' });
      isKnown &&= result !== undefined;
    }
    return isKnown
      ? this.#reply(ready, keys, rows, request.topK, NOTHING_TO_RUN)
      : this.#complete(ready, request, keys, rows, stop);
  }

  #scopeOf(ready: ReadyModel): KeyScope {
    const known = this.#scopes.get(ready);
    if (known !== undefined) return known;
    const scope = { digest: ready.form.digest, task: taskOf(ready.model.description) };
    this.#scopes.set(ready, scope);
    return scope;
  }

  /** Looks for what memory does not know in Redis, and computes the rest. */
  async #complete(
    ready: ReadyModel,
    { inputs, user, topK }: ClassifyRequest,
    keys: readonly string[],
    rows: readonly (SourcedResult | undefined)[],
    stop: Stop,
  ): Promise<Classification> {
    const unknown = rows.flatMap((row, index) => (row === undefined ? [index] : []));
    const wanted = unknown.map((index) => [keys[index] ?? '', inputs[index] ?? ''] as const);
    const texts = new Map(wanted);
    let times: Answer = NOTHING_TO_RUN;
    // Who joins another request's work gets its results with no time of its own.
    const results = await this.#flights.run(
      wanted.map(([key]) => key),
      stop,
      async (own) => {
        const { rows: fetched, ...spent } = await this.#fetch(ready, own, texts, user, stop);
        times = spent;
        return fetched;
      },
    );
    const found = new Map(unknown.map((index, row) => [index, results[row]]));
    const all = rows.map((row, index) => row ?? found.get(index));
    return this.#reply(ready, keys, all, topK, times);
  }

  #reply(
    ready: ReadyModel,
    keys: readonly string[],
    rows: readonly (SourcedResult | undefined)[],
    topK: number | undefined,
    timing: Answer,
  ): Classification {
    const results: (readonly LabelScore[])[] = [];
    const truncated: boolean[] = [];
    const cached: CacheSource[] = [];
    for (const row of rows) {
      if (row === undefined) throw new PlimsollError('INTERNAL', 'an input was left unanswered');
      results.push(ranked(ready, row.result, topK));
      truncated.push(row.result.truncated);
      cached.push(row.source);
    }
    this.#count(cached);
    return { model: ready.model.id, results, truncated, cached, inputHashes: keys, timing };
  }

  /** What memory does not know: from Redis, and what Redis does not know is computed. */
  async #fetch(
    ready: ReadyModel,
    keys: readonly string[],
    texts: ReadonlyMap<string, string>,
    user: string,
    stop: Stop,
  ): Promise<Answer & { readonly rows: readonly SourcedResult[] }> {
    const labels = ready.model.description.labels.length;
    const stored = await this.#cache.findInRedis(keys, labels);
    const missing = keys.filter((_, index) => stored[index] === undefined);
    let run: Awaited<ReturnType<Dispatcher['submit']>> = { rows: [], ...NOTHING_TO_RUN };
    if (missing.length > 0) {
      const inputs = missing.map((key) => texts.get(key) ?? '');
      run = await this.#dispatcher.submit(ready, inputs, stop.signal, user);
      for (const [row, key] of missing.entries()) {
        const result = run.rows[row];
        if (result !== undefined) this.#cache.store(key, result);
      }
    }
    const { rows: computed, ...times } = run;
    let next = 0;
    const rows = keys.map((_, index): SourcedResult => {
      const result = stored[index];
      if (result !== undefined) return { result, source: 'redis' };
      const row = computed[next];
      next += 1;
      if (row === undefined) throw new PlimsollError('INTERNAL', 'an input was left unanswered');
      return { result: row, source: false };
    });
    return { rows, ...times };
  }

  #count(cached: readonly CacheSource[]): void {
    const { cacheHits, cacheMisses } = this.#metrics;
    const memory = countOf(cached, 'memory');
    const redis = countOf(cached, 'redis');
    if (memory > 0) cacheHits.add('memory', memory);
    if (redis > 0) cacheHits.add('redis', redis);
    if (memory + redis < cached.length) cacheMisses.inc(cached.length - memory - redis);
  }
}

function countOf(cached: readonly CacheSource[], source: CacheSource): number {
  let count = 0;
  for (const one of cached) if (one === source) count += 1;
  return count;
}

type Answer = Classification['timing'];

const NOTHING_TO_RUN: Answer = { queueMs: 0, tokenizeMs: 0, runMs: 0 };

function ranked(
  { model }: ReadyModel,
  row: CachedResult,
  topK: number | undefined,
): readonly LabelScore[] {
  const { labels } = model.description;
  const list = row.scores.map((score, index) => ({
    label: labels[index] ?? `LABEL_${index}`,
    score,
  }));
  if (!isRanked(list)) list.sort((a, b) => b.score - a.score);
  return topK === undefined ? list : list.slice(0, topK);
}

/** Sorting takes more memory than the list: with few labels it is often not needed. */
function isRanked(list: readonly LabelScore[]): boolean {
  let last = Number.POSITIVE_INFINITY;
  for (const { score } of list) {
    if (score > last) return false;
    last = score;
  }
  return true;
}
