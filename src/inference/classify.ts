import { cacheKey } from '../cache/key.js';
import type { CachedResult, MemoryTier } from '../cache/memory-tier.js';
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

/** Where an answer came from: `false` was computed now. */
export type CacheSource = false | 'memory';

export interface Classification {
  readonly model: string;
  /** One list for each input, the highest score first. */
  readonly results: readonly (readonly LabelScore[])[];
  readonly truncated: readonly boolean[];
  readonly cached: readonly CacheSource[];
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
  readonly #cache: MemoryTier;
  readonly #metrics: Metrics;
  readonly #secret: string;
  readonly #flights = new SingleFlight<CachedResult>();

  constructor(parts: {
    readonly library: ModelLibrary;
    readonly dispatcher: Dispatcher;
    readonly cache: MemoryTier;
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
    const known = keys.map((key) => this.#cache.get(key));
    const unknown = known.flatMap((result, index) => (result === undefined ? [index] : []));
    this.#metrics.cacheHits.inc({ tier: 'memory' }, known.length - unknown.length);
    this.#metrics.cacheMisses.inc(unknown.length);
    let answer: Answer = NOTHING_TO_RUN;
    const textOf = new Map(
      unknown.map((index) => [keys[index] ?? '', request.inputs[index] ?? '']),
    );
    // Who joins another request's computation gets its answer as computed now, with no time of its own.
    const rowsOfUnknown = await this.#flights.run(
      unknown.map((index) => keys[index] ?? ''),
      signal,
      async (wanted) => {
        const texts = wanted.map((key) => textOf.get(key) ?? '');
        answer = await this.#dispatcher.submit(ready, texts, signal, request.user);
        wanted.forEach((key, row) => {
          const result = answer.rows[row];
          if (result !== undefined) this.#cache.set(key, result);
        });
        return answer.rows;
      },
    );
    const computed = new Map(unknown.map((index, row) => [index, rowsOfUnknown[row]]));
    const rows = known.map((result, index) => result ?? computed.get(index));
    const { queueMs, tokenizeMs, runMs } = answer;
    return {
      model: ready.model.id,
      results: rows.map((row) => ranked(ready, row, request.topK)),
      truncated: rows.map((row) => row?.truncated ?? false),
      cached: known.map((result) => (result === undefined ? false : 'memory')),
      timing: { queueMs, tokenizeMs, runMs },
    };
  }
}

type Answer = Awaited<ReturnType<Dispatcher['submit']>>;

const NOTHING_TO_RUN: Answer = { rows: [], queueMs: 0, tokenizeMs: 0, runMs: 0 };

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
