import { CacheKeys, type KeyScope } from '../cache/key.js';
import type { CachedResult } from '../cache/memory-tier.js';
import type { StoredResult } from '../cache/redis-value.js';
import type { CacheSource, ResultCache, SourcedResult } from '../cache/result-cache.js';
import { type Stop, unlessAborted } from '../cache/stop.js';
import { PlimsollError } from '../errors.js';
import type { Metrics } from '../metrics/metrics.js';
import { taskOf } from '../models/intake/description.js';
import type { ScoreFunction } from '../models/intake/reading/scoring.js';
import type { ModelLibrary, ReadyModel } from '../models/library.js';
import type { Dispatcher } from './dispatcher.js';
import { Turns } from './yielding.js';

export interface ClassifyRequest {
  readonly model: string;
  readonly inputs: readonly string[];
  /** Whose request it is: users are served in turn. */
  readonly user: string;
  /** Labels of each result, the highest score first; all of them if undefined. */
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

/** Inputs that are looked up in one go; more are looked up in slices, and others are served in between. */
const AT_ONCE = 64;
/** A slice ends after this: about what ten small requests take. */
const SLICE_MS = 2;

/** What memory knows of a request, filled in as it is looked up. */
interface Found {
  readonly keys: string[];
  readonly rows: (SourcedResult | undefined)[];
  isKnown: boolean;
}

/** From texts to scores: cache → dispatcher → worker; what was computed goes into the cache. */
export class Classifier {
  readonly #library: ModelLibrary;
  readonly #dispatcher: Dispatcher;
  readonly #cache: ResultCache;
  readonly #metrics: Metrics;
  readonly #keys: CacheKeys;
  /** By the function that a request asks for; most ask for none. */
  readonly #scopes = new WeakMap<ReadyModel, Map<ScoreFunction | undefined, KeyScope>>();
  readonly #turns = new Turns();

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
    const { inputs } = request;
    const found: Found = {
      // As long as they will be: one that grows takes room for many, of which most requests need one.
      keys: new Array<string>(inputs.length),
      rows: new Array<SourcedResult | undefined>(inputs.length),
      isKnown: true,
    };
    if (inputs.length > AT_ONCE) return this.#answerInSlices(ready, request, found, stop);
    const scope = this.#scopeOf(ready, request.function);
    // Loops, here and below: in the path of every known answer closures and copies add up.
    for (let index = 0; index < inputs.length; index += 1) {
      this.#lookUp(scope, inputs[index] ?? '', index, found);
    }
    return found.isKnown
      ? this.#reply(ready, found.keys, found.rows, request.topK, NOTHING_TO_RUN)
      : this.#complete(ready, request, found, stop);
  }

  async #answerInSlices(
    ready: ReadyModel,
    request: ClassifyRequest,
    found: Found,
    stop: Stop,
  ): Promise<Classification> {
    const scope = this.#scopeOf(ready, request.function);
    let sliceEndsMs = performance.now() + SLICE_MS;
    for (const [index, input] of request.inputs.entries()) {
      if (performance.now() > sliceEndsMs) {
        await this.#turns.next();
        stop.signal.throwIfAborted();
        sliceEndsMs = performance.now() + SLICE_MS;
      }
      this.#lookUp(scope, input, index, found);
    }
    return found.isKnown
      ? this.#reply(ready, found.keys, found.rows, request.topK, NOTHING_TO_RUN)
      : this.#complete(ready, request, found, stop);
  }

  #lookUp(scope: KeyScope, input: string, index: number, found: Found): void {
    const key = this.#keys.of(scope, input);
    const result = this.#cache.memory.get(key);
    found.keys[index] = key;
    found.rows[index] = result && { result, source: 'memory' };
    found.isKnown &&= result !== undefined;
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

  /** Looks for what memory does not know in Redis, and computes the rest. */
  async #complete(
    ready: ReadyModel,
    { inputs, user, topK, function: own }: ClassifyRequest,
    { keys, rows }: Found,
    stop: Stop,
  ): Promise<Classification> {
    // What is computed now will be here before Redis has it.
    const asked = missingOf(keys, rows).filter((key) => !this.#dispatcher.isComputing(key));
    const looking = this.#cache.findInRedis(asked, ready.model.description.labels.length);
    if (looking !== undefined) this.#take(await looking, asked, keys, rows);
    const times = rows.includes(undefined)
      ? await this.#compute(ready, inputs, user, stop, keys, rows, own)
      : NOTHING_TO_RUN;
    return this.#reply(ready, keys, rows, topK, times);
  }

  /** Puts what Redis knows, or memory has come to know meanwhile, into the rows. */
  #take(
    stored: readonly (StoredResult | undefined)[],
    asked: readonly string[],
    keys: readonly string[],
    rows: (SourcedResult | undefined)[],
  ): void {
    // Most requests have one input, and need no map to find it.
    const places = asked.length > 1 ? new Map(asked.map((key, at) => [key, at])) : undefined;
    for (let index = 0; index < rows.length; index += 1) {
      if (rows[index] !== undefined) continue;
      const key = keys[index] ?? '';
      const at = places === undefined ? asked.indexOf(key) : (places.get(key) ?? -1);
      if (at < 0) continue;
      const known = this.#cache.keep(key, stored[at]);
      const late = known === undefined ? this.#cache.memory.peek(key) : undefined;
      if (known !== undefined) rows[index] = { result: known, source: 'redis' };
      else if (late !== undefined) rows[index] = { result: late, source: 'memory' };
    }
  }

  /**
   * Computes what nobody knows, into the rows; who needs the same at the same time shares it.
   *
   * @returns the times
   */
  async #compute(
    ready: ReadyModel,
    inputs: readonly string[],
    user: string,
    stop: Stop,
    keys: readonly string[],
    rows: (SourcedResult | undefined)[],
    own: ScoreFunction | undefined,
  ): Promise<Answer> {
    const texts = new Map(keys.map((key, index) => [key, inputs[index] ?? '']));
    const wanted = missingOf(keys, rows);
    const asked = wanted.map((key) => texts.get(key) ?? '');
    const keyed = { keys: wanted, onResult: this.#keep, function: own };
    const answer = await this.#dispatcher.submit(ready, asked, stop, user, keyed);
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

  /** As soon as a result is there: who asks for the same need not wait for the rest of a large request. */
  readonly #keep = (key: string, result: CachedResult): void => this.#cache.store(key, result);

  #reply(
    ready: ReadyModel,
    keys: readonly string[],
    rows: readonly (SourcedResult | undefined)[],
    topK: number | undefined,
    timing: Answer,
  ): Classification {
    const results = new Array<readonly LabelScore[]>(rows.length);
    const truncated = new Array<boolean>(rows.length);
    const cached = new Array<CacheSource>(rows.length);
    for (let index = 0; index < rows.length; index += 1) {
      const row = rows[index];
      if (row === undefined) throw new PlimsollError('INTERNAL', 'an input was left unanswered');
      results[index] = ranked(ready, row.result, topK);
      truncated[index] = row.result.truncated;
      cached[index] = row.source;
    }
    this.#count(cached);
    return { model: ready.model.id, results, truncated, cached, inputHashes: keys, timing };
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

/** The keys of what is not known, each once. */
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

const NOTHING_TO_RUN: Answer = { queueMs: 0, tokenizeMs: 0, runMs: 0 };

function ranked(
  { model }: ReadyModel,
  row: CachedResult,
  topK: number | undefined,
): readonly LabelScore[] {
  const { labels, thresholds } = model.description;
  const { scores } = row;
  const list = new Array<LabelScore>(scores.length);
  for (let index = 0; index < scores.length; index += 1) {
    list[index] = { label: labels[index] ?? `LABEL_${index}`, score: scores[index] ?? 0 };
  }
  if (!isRanked(list)) list.sort((a, b) => b.score - a.score);
  const kept =
    thresholds === undefined
      ? list
      : list.filter(({ label, score }) => score >= (thresholds[label] ?? Number.NEGATIVE_INFINITY));
  return topK === undefined ? kept : kept.slice(0, topK);
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
