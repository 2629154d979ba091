import { type Abortable, unlessAborted } from '../cache/abortable.js';
import { CacheKeys, type KeyScope } from '../cache/key.js';
import type { CachedResult } from '../cache/memory-tier.js';
import type { StoredResult } from '../cache/redis-value.js';
import type { CacheSource, ResultCache, SourcedResult } from '../cache/result-cache.js';
import { PlimsollError } from '../errors.js';
import type { Metrics } from '../metrics/metrics.js';
import { taskOf } from '../models/intake/description.js';
import type { ScoreFunction } from '../models/intake/reading/scoring.js';
import type { ModelLibrary, ReadyModel } from '../models/library.js';
import { checkAnswerSize, keptLabels, wantedLabels } from './answer-budget.js';
import { onWholeForm } from './damaged-forms.js';
import type { Dispatcher } from './dispatcher.js';
import { runKeyOf, textKeyOf } from './faults/faults.js';
import { EventLoopYield } from './yielding.js';

export interface ClassifyRequest {
  readonly model: string;
  readonly inputs: readonly string[];
  /** The caller; users are served in turn. */
  readonly user: string;
  /** Number of labels to return for each input, best first; all if undefined. */
  readonly topK: number | undefined;
  /** What is applied to the logits; the model's own if undefined. */
  readonly function?: ScoreFunction | undefined;
}

export interface LabelScore {
  readonly label: string;
  readonly score: number;
}

export interface Classification {
  readonly model: string;
  /** One list for each input, best label first. */
  readonly results: readonly (readonly LabelScore[])[];
  readonly truncated: readonly boolean[];
  readonly cached: readonly CacheSource[];
  /** Cache key of each input. */
  readonly inputHashes: readonly string[];
  readonly timing: {
    readonly queueMs: number;
    readonly tokenizeMs: number;
    readonly runMs: number;
  };
}

/** Larger requests are looked up in slices, so that others are served in between. */
const AT_ONCE = 64;
/** Length of a slice: about the time of ten small requests. */
const SLICE_MS = 2;

/** Scores that are put into the answer between two turns of the event loop. */
const SCORES_PER_SLICE = 4096;

/** Results found in memory so far. */
interface Lookup {
  readonly keys: string[];
  readonly rows: (SourcedResult | undefined)[];
  isKnown: boolean;
}

/** From texts to scores: cache → dispatcher → worker; computed results go into the cache. */
export class Classifier {
  readonly #library: ModelLibrary;
  readonly #dispatcher: Dispatcher;
  readonly #cache: ResultCache;
  readonly #metrics: Metrics;
  readonly #keys: CacheKeys;
  readonly #maxAnswerScores: number;
  /** By the function that a request asks for; most ask for none. */
  readonly #scopes = new WeakMap<ReadyModel, Map<ScoreFunction | undefined, KeyScope>>();
  readonly #yield = new EventLoopYield();

  constructor(parts: {
    readonly library: ModelLibrary;
    readonly dispatcher: Dispatcher;
    readonly cache: ResultCache;
    readonly metrics: Metrics;
    readonly secret: string;
    /** Most scores of one answer; unlimited by default. */
    readonly maxAnswerScores?: number;
  }) {
    this.#library = parts.library;
    this.#dispatcher = parts.dispatcher;
    this.#cache = parts.cache;
    this.#metrics = parts.metrics;
    this.#keys = new CacheKeys(parts.secret);
    this.#maxAnswerScores = parts.maxAnswerScores ?? Number.POSITIVE_INFINITY;
  }

  /**
   * Synchronous if every result is in memory.
   *
   * @param abort its signal is read only if there is something to wait for.
   * @throws PlimsollError MODEL_NOT_FOUND, MODEL_UNUSABLE, ANSWER_TOO_LARGE, INPUT_REFUSED, QUEUE_FULL,
   *    WORKER_LOST; the signal's reason
   */
  classify(request: ClassifyRequest, abort: Abortable): Classification | Promise<Classification> {
    const ready = this.#library.readyNow(request.model);
    if (ready !== undefined) return this.#answer(ready, request, abort);
    return unlessAborted(this.#library.ready(request.model), abort.signal).then((found) =>
      this.#answer(found, request, abort),
    );
  }

  #answer(
    ready: ReadyModel,
    request: ClassifyRequest,
    abort: Abortable,
  ): Classification | Promise<Classification> {
    const { inputs, topK } = request;
    const labels = ready.model.description.labels.length;
    checkAnswerSize({ inputs: inputs.length, labels, topK }, this.#maxAnswerScores);
    const wanted = wantedLabels(labels, topK);
    const found: Lookup = {
      // Allocated at their final length: a growing array reserves room that most requests never need.
      keys: new Array<string>(inputs.length),
      rows: new Array<SourcedResult | undefined>(inputs.length),
      isKnown: true,
    };
    if (inputs.length > AT_ONCE) return this.#answerInSlices(ready, request, found, abort);
    const scope = this.#scopeOf(ready, request.function);
    // Plain loops here and below: this is the hot path of cached answers.
    for (let index = 0; index < inputs.length; index += 1) {
      this.#lookUp(scope, inputs[index] ?? '', index, found, wanted);
    }
    return found.isKnown
      ? this.#reply(ready, found.keys, found.rows, request.topK, NOTHING_TO_RUN)
      : this.#complete(ready, request, found, abort);
  }

  async #answerInSlices(
    ready: ReadyModel,
    request: ClassifyRequest,
    found: Lookup,
    abort: Abortable,
  ): Promise<Classification> {
    const scope = this.#scopeOf(ready, request.function);
    const wanted = wantedLabels(ready.model.description.labels.length, request.topK);
    let sliceEndsMs = performance.now() + SLICE_MS;
    for (const [index, input] of request.inputs.entries()) {
      if (performance.now() > sliceEndsMs) {
        await this.#yield.next();
        abort.signal.throwIfAborted();
        sliceEndsMs = performance.now() + SLICE_MS;
      }
      this.#lookUp(scope, input, index, found, wanted);
    }
    return found.isKnown
      ? this.#replyInSlices(ready, found.keys, found.rows, request.topK, NOTHING_TO_RUN)
      : this.#complete(ready, request, found, abort);
  }

  #lookUp(scope: KeyScope, input: string, index: number, found: Lookup, wanted: number): void {
    const key = this.#keys.of(scope, input);
    const result = this.#cache.memory.get(key);
    const isEnough = result !== undefined && hasLabels(result, wanted);
    found.keys[index] = key;
    found.rows[index] = isEnough ? { result, source: 'memory' } : undefined;
    found.isKnown &&= isEnough;
  }

  #scopeOf(ready: ReadyModel, asked: ScoreFunction | undefined): KeyScope {
    let scopes = this.#scopes.get(ready);
    if (scopes === undefined) {
      scopes = new Map();
      this.#scopes.set(ready, scopes);
    }
    const known = scopes.get(asked);
    if (known !== undefined) return known;
    const scope = { digest: ready.form.digest, task: taskOf(ready.model.description, asked) };
    scopes.set(asked, scope);
    return scope;
  }

  /** Looks up in Redis what memory does not have, and computes the rest. */
  async #complete(
    ready: ReadyModel,
    { inputs, user, topK, function: own }: ClassifyRequest,
    { keys, rows }: Lookup,
    abort: Abortable,
  ): Promise<Classification> {
    const labels = ready.model.description.labels.length;
    const wanted = wantedLabels(labels, topK);
    const keep = keptLabels(labels, wanted);
    // A result that is being computed now arrives here before it arrives in Redis.
    const isComputing = (key: string) => this.#dispatcher.isComputing(runKeyOf(key, keep));
    const asked = missingOf(keys, rows).filter((key) => !isComputing(key));
    const looking = this.#cache.findInRedis(asked, labels);
    if (looking !== undefined) this.#take(await looking, asked, keys, rows, wanted);
    const times = rows.includes(undefined)
      ? await this.#compute(ready, { inputs, user, keep, abort, own }, keys, rows)
      : NOTHING_TO_RUN;
    return this.#replyInSlices(ready, keys, rows, topK, times);
  }

  /** Fills in what Redis has, or what memory has got meanwhile. */
  #take(
    stored: readonly (StoredResult | undefined)[],
    asked: readonly string[],
    keys: readonly string[],
    rows: (SourcedResult | undefined)[],
    wanted: number,
  ): void {
    // Most requests have one input and need no map.
    const places = asked.length > 1 ? new Map(asked.map((key, at) => [key, at])) : undefined;
    for (let index = 0; index < rows.length; index += 1) {
      if (rows[index] !== undefined) continue;
      const key = keys[index] ?? '';
      const at = places === undefined ? asked.indexOf(key) : (places.get(key) ?? -1);
      if (at < 0) continue;
      const known = this.#cache.keep(key, stored[at]);
      const late = known === undefined ? this.#cache.memory.peek(key) : undefined;
      const [result, source] =
        known === undefined ? [late, 'memory' as const] : [known, 'redis' as const];
      if (result !== undefined && hasLabels(result, wanted)) rows[index] = { result, source };
    }
  }

  /**
   * Computes the missing results and fills them in; concurrent requests for the same input share one run.
   *
   * @returns the timings
   */
  async #compute(
    ready: ReadyModel,
    of: {
      readonly inputs: readonly string[];
      readonly user: string;
      readonly keep: number | undefined;
      readonly own: ScoreFunction | undefined;
      readonly abort: Abortable;
    },
    keys: readonly string[],
    rows: (SourcedResult | undefined)[],
  ): Promise<Answer> {
    const { inputs, user, keep, own, abort } = of;
    const places = new Map(keys.map((key, index) => [key, index]));
    const wanted = missingOf(keys, rows);
    const positions = wanted.map((key) => places.get(key) ?? 0);
    const asked = positions.map((index) => inputs[index] ?? '');
    const runKeys = wanted.map((key) => runKeyOf(key, keep));
    const keyed = { keys: runKeys, positions, keep, onResult: this.#keep, function: own };
    const answer = await onWholeForm(this.#library, ready, abort, (using) =>
      this.#dispatcher.submit(using, asked, abort, user, keyed),
    );
    const { rows: found, ...times } = answer;
    const computed = new Map<string, SourcedResult>();
    for (const [index, key] of wanted.entries()) {
      const result = found[index];
      if (result === undefined) throw new PlimsollError('INTERNAL', 'an input was left unanswered');
      computed.set(key, { result, source: false });
    }
    for (const [index, key] of keys.entries()) rows[index] ??= computed.get(key);
    return times;
  }

  /** Called for each result at once, so that others need not wait for the rest of a large request. */
  readonly #keep = (runKey: string, result: CachedResult): void =>
    this.#cache.store(textKeyOf(runKey), result);

  #reply(
    ready: ReadyModel,
    keys: readonly string[],
    rows: readonly (SourcedResult | undefined)[],
    topK: number | undefined,
    timing: Answer,
  ): Classification {
    const answer = newAnswer(ready.model.id, keys, timing);
    for (let index = 0; index < rows.length; index += 1) {
      fillIn(answer, index, ready, rows[index], topK);
    }
    this.#count(answer.cached);
    return answer;
  }

  /** Ranks the labels of a large answer in slices, and serves others in between. */
  async #replyInSlices(
    ready: ReadyModel,
    keys: readonly string[],
    rows: readonly (SourcedResult | undefined)[],
    topK: number | undefined,
    timing: Answer,
  ): Promise<Classification> {
    const answer = newAnswer(ready.model.id, keys, timing);
    let scores = 0;
    for (let index = 0; index < rows.length; index += 1) {
      fillIn(answer, index, ready, rows[index], topK);
      scores += rows[index]?.result.scores.length ?? 0;
      if (scores < SCORES_PER_SLICE) continue;
      scores = 0;
      await this.#yield.next();
    }
    this.#count(answer.cached);
    return answer;
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

/** Keys without a result, each once. */
function missingOf(
  keys: readonly string[],
  rows: readonly (SourcedResult | undefined)[],
): readonly string[] {
  if (rows.length === 1) return rows[0] === undefined ? keys : [];
  return [...new Set(keys.filter((_, index) => rows[index] === undefined))];
}

function countOf(cached: readonly CacheSource[], source: CacheSource): number {
  let count = 0;
  for (const one of cached) if (one === source) count += 1;
  return count;
}

type Answer = Classification['timing'];

interface AnswerInMaking extends Classification {
  readonly results: (readonly LabelScore[])[];
  readonly truncated: boolean[];
  readonly cached: CacheSource[];
}

function newAnswer(model: string, keys: readonly string[], timing: Answer): AnswerInMaking {
  const { length } = keys;
  const results = new Array<readonly LabelScore[]>(length);
  const truncated = new Array<boolean>(length);
  const cached = new Array<CacheSource>(length);
  return { model, results, truncated, cached, inputHashes: keys, timing };
}

function fillIn(
  answer: AnswerInMaking,
  index: number,
  ready: ReadyModel,
  row: SourcedResult | undefined,
  topK: number | undefined,
): void {
  if (row === undefined) throw new PlimsollError('INTERNAL', 'an input was left unanswered');
  answer.results[index] = ranked(ready, row.result, topK);
  answer.truncated[index] = row.result.truncated;
  answer.cached[index] = row.source;
}

/** Whether the result has that many labels; one with all of them has enough in any case. */
function hasLabels({ labels }: CachedResult, wanted: number): boolean {
  return labels === undefined || labels.length >= wanted;
}

const NOTHING_TO_RUN: Answer = { queueMs: 0, tokenizeMs: 0, runMs: 0 };

function ranked(
  { model }: ReadyModel,
  row: CachedResult,
  topK: number | undefined,
): readonly LabelScore[] {
  const { labels, thresholds } = model.description;
  const { scores, labels: best } = row;
  const list = new Array<LabelScore>(scores.length);
  for (let index = 0; index < scores.length; index += 1) {
    const label = best === undefined ? index : (best[index] ?? index);
    list[index] = { label: labels[label] ?? `LABEL_${label}`, score: scores[index] ?? 0 };
  }
  if (!isRanked(list)) list.sort((a, b) => b.score - a.score);
  const kept =
    thresholds === undefined
      ? list
      : list.filter(({ label, score }) => score >= (thresholds[label] ?? Number.NEGATIVE_INFINITY));
  return topK === undefined ? kept : kept.slice(0, topK);
}

/** Sorting allocates more than the list itself, and with few labels is often not needed. */
function isRanked(list: readonly LabelScore[]): boolean {
  let last = Number.POSITIVE_INFINITY;
  for (const { score } of list) {
    if (score > last) return false;
    last = score;
  }
  return true;
}
