import { cacheKey } from '../cache/key.js';
import type { CachedResult } from '../cache/memory-tier.js';
import type { CacheSource, ResultCache, SourcedResult } from '../cache/result-cache.js';
import { SingleFlight, unlessAborted } from '../cache/single-flight.js';
import { PlimsollError } from '../errors.js';
import type { Metrics } from '../metrics.js';
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
  readonly #secret: string;
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
    this.#secret = parts.secret;
  }

  /**
   * @param signal stops the work: the caller has left, or the deadline is over.
   * @throws PlimsollError MODEL_NOT_FOUND, MODEL_UNUSABLE, QUEUE_FULL, WORKER_LOST; the signal's reason
   */
  async classify(request: ClassifyRequest, signal: AbortSignal): Promise<Classification> {
    const ready = await unlessAborted(this.#library.ready(request.model), signal);
    const keys = request.inputs.map((input) => cacheKey(this.#secret, ready.form.digest, input));
    const known = keys.map((key) => this.#cache.memory.get(key));
    const unknown = known.flatMap((result, index) => (result === undefined ? [index] : []));
    const found = new Map<number, SourcedResult>();
    let answer: Answer = NOTHING_TO_RUN;
    if (unknown.length > 0) {
      const wanted = unknown.map(
        (index) => [keys[index] ?? '', request.inputs[index] ?? ''] as const,
      );
      const texts = new Map(wanted);
      // Who joins another request's work gets its results with no time of its own.
      const results = await this.#flights.run(
        wanted.map(([key]) => key),
        signal,
        async (own) => {
          const { rows, ...times } = await this.#fetch(ready, own, texts, request.user, signal);
          answer = times;
          return rows;
        },
      );
      for (const [row, index] of unknown.entries()) {
        const result = results[row];
        if (result !== undefined) found.set(index, result);
      }
    }
    const rows = known.map((result, index) =>
      result === undefined ? found.get(index) : { result, source: 'memory' as const },
    );
    const cached = rows.map((row) => row?.source ?? false);
    this.#count(cached);
    return {
      model: ready.model.id,
      results: rows.map((row) => ranked(ready, row?.result, request.topK)),
      truncated: rows.map((row) => row?.result.truncated ?? false),
      cached,
      inputHashes: keys,
      timing: answer,
    };
  }

  /** What memory does not know: from Redis, and what Redis does not know is computed. */
  async #fetch(
    ready: ReadyModel,
    keys: readonly string[],
    texts: ReadonlyMap<string, string>,
    user: string,
    signal: AbortSignal,
  ): Promise<Answer & { readonly rows: readonly SourcedResult[] }> {
    const labels = ready.model.description.labels.length;
    const stored = await this.#cache.findInRedis(keys, labels);
    const missing = keys.filter((_, index) => stored[index] === undefined);
    let run: Awaited<ReturnType<Dispatcher['submit']>> = { rows: [], ...NOTHING_TO_RUN };
    if (missing.length > 0) {
      const inputs = missing.map((key) => texts.get(key) ?? '');
      run = await this.#dispatcher.submit(ready, inputs, signal, user);
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
    const of = (source: CacheSource) => cached.filter((one) => one === source).length;
    cacheHits.inc({ tier: 'memory' }, of('memory'));
    cacheHits.inc({ tier: 'redis' }, of('redis'));
    cacheMisses.inc(of(false));
  }
}

type Answer = Classification['timing'];

const NOTHING_TO_RUN: Answer = { queueMs: 0, tokenizeMs: 0, runMs: 0 };

function ranked(
  { model }: ReadyModel,
  row: CachedResult | undefined,
  topK: number | undefined,
): readonly LabelScore[] {
  if (row === undefined) throw new PlimsollError('INTERNAL', 'an input was left unanswered');
  const { labels } = model.description;
  return row.scores
    .map((score, index) => ({ label: labels[index] ?? `LABEL_${index}`, score }))
    .sort((a, b) => b.score - a.score)
    .slice(0, topK);
}
