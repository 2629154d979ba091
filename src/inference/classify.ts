import { type Abortable, unlessAborted } from '../cache/abortable.js';
import { CacheKeys, type KeyScope, scopePart } from '../cache/key.js';
import type { CachedResult } from '../cache/memory-tier.js';
import type { StoredResult } from '../cache/redis-value.js';
import type { ResultCache, SourcedResult } from '../cache/result-cache.js';
import { PlimsollError } from '../errors.js';
import type { Metrics } from '../metrics/metrics.js';
import { taskOf } from '../models/intake/description.js';
import type { ModelLibrary, ReadyModel } from '../models/library.js';
import { keyTextOf, kindOf, type RowInput } from '../models/run/row-input.js';
import {
  checkAnswerSize,
  checkRows,
  EntityBudget,
  keptLabels,
  wantedLabels,
} from './answer-budget.js';
import {
  type Classification,
  countOf,
  fillIn,
  hasLabels,
  missingOf,
  newAnswer,
  type Timing,
} from './answers.js';
import { onWholeForm, ReplacedModel } from './damaged-forms.js';
import type { Dispatcher } from './dispatcher.js';
import { runKeyOf, textKeyOf } from './faults/faults.js';
import type { RowPlan, RowTask } from './row-task.js';
import { EventLoopYield } from './yielding.js';

export interface ClassifyRequest<R> {
  readonly model: string;
  readonly task: RowTask<R>;
  /** The caller; users are served in turn. */
  readonly user: string;
  /**
   * Rows of a job: they run on what callers leave, and use what the memory has, but neither fill it nor ask Redis. Millions of texts
   * that are read once would drive out those of callers.
   */
  readonly isJob?: boolean;
}

interface Asked<R> {
  readonly task: RowTask<R>;
  readonly plan: RowPlan<R>;
  readonly user: string;
  readonly isJob: boolean;
}

/** Larger requests are looked up in slices, so that others are served in between. */
const AT_ONCE = 64;
/** Length of a slice: about the time of ten small requests. */
const SLICE_MS = 2;

/** Scopes of one model that are remembered. */
const MOST_SCOPES = 64;

/** Scores that are put into the answer between two turns of the event loop. */
const SCORES_PER_SLICE = 4096;

/** Results found in memory so far. */
interface Lookup {
  readonly keys: string[];
  readonly rows: (SourcedResult | undefined)[];
  isKnown: boolean;
}

/** From rows to answers: cache → dispatcher → worker; computed results go into the cache. */
export class Classifier {
  readonly #library: ModelLibrary;
  readonly #dispatcher: Dispatcher;
  readonly #cache: ResultCache;
  readonly #metrics: Metrics;
  readonly #keys: CacheKeys;
  readonly #maxAnswerScores: number;
  readonly #maxRows: number;
  /** By what a request asks for; most ask for nothing. */
  readonly #scopes = new WeakMap<ReadyModel, Map<string, KeyScope>>();
  readonly #yield = new EventLoopYield();

  constructor(parts: {
    readonly library: ModelLibrary;
    readonly dispatcher: Dispatcher;
    readonly cache: ResultCache;
    readonly metrics: Metrics;
    readonly secret: string;
    /** Most scores of one answer; unlimited by default. */
    readonly maxAnswerScores?: number;
    /** Most rows of one request; unlimited by default. */
    readonly maxRows?: number;
  }) {
    this.#library = parts.library;
    this.#dispatcher = parts.dispatcher;
    this.#cache = parts.cache;
    this.#metrics = parts.metrics;
    this.#keys = new CacheKeys(parts.secret);
    this.#maxRows = parts.maxRows ?? Number.POSITIVE_INFINITY;
    this.#maxAnswerScores = parts.maxAnswerScores ?? Number.POSITIVE_INFINITY;
  }

  /**
   * Synchronous if every result is in memory.
   *
   * @param abort its signal is read only if there is something to wait for.
   * @throws PlimsollError those of the task; MODEL_NOT_FOUND, MODEL_UNUSABLE, ANSWER_TOO_LARGE, INPUT_REFUSED, QUEUE_FULL,
   *    WORKER_LOST; the signal's reason
   */
  classify<R>(
    request: ClassifyRequest<R>,
    abort: Abortable,
  ): Classification<R> | Promise<Classification<R>> {
    const ready = this.#library.readyNow(request.model);
    if (ready !== undefined) return this.#answer(ready, request, abort);
    return unlessAborted(this.#library.ready(request.model), abort.signal).then((found) =>
      this.#answer(found, request, abort),
    );
  }

  #answer<R>(
    ready: ReadyModel,
    { task, user, isJob = false }: ClassifyRequest<R>,
    abort: Abortable,
  ): Classification<R> | Promise<Classification<R>> {
    const { description } = ready.model;
    checkRows(task.rowCount ?? 0, this.#maxRows);
    const plan = task.plan(description);
    const { rows, topK } = plan;
    const labels = description.labels.length;
    checkRows(rows.length, this.#maxRows);
    checkAnswerSize({ inputs: rows.length, labels, topK }, this.#maxAnswerScores);
    const wanted = wantedLabels(labels, topK);
    const found: Lookup = {
      // Allocated at their final length: a growing array reserves room that most requests never need.
      keys: new Array<string>(rows.length),
      rows: new Array<SourcedResult | undefined>(rows.length),
      isKnown: true,
    };
    const asked = { task, plan, user, isJob };
    if (rows.length > AT_ONCE) return this.#answerInSlices(ready, asked, found, abort);
    // Plain loops here and below: this is the hot path of cached answers.
    for (let index = 0; index < rows.length; index += 1) {
      this.#lookUp(ready, plan, index, found, wanted);
    }
    return found.isKnown
      ? this.#reply(ready, plan, found, NOTHING_TO_RUN)
      : this.#complete(ready, asked, found, abort);
  }

  async #answerInSlices<R>(
    ready: ReadyModel,
    asked: Asked<R>,
    found: Lookup,
    abort: Abortable,
  ): Promise<Classification<R>> {
    const { plan } = asked;
    const wanted = wantedLabels(ready.model.description.labels.length, plan.topK);
    let sliceEndsMs = performance.now() + SLICE_MS;
    for (let index = 0; index < plan.rows.length; index += 1) {
      if (performance.now() > sliceEndsMs) {
        await this.#yield.next();
        abort.signal.throwIfAborted();
        sliceEndsMs = performance.now() + SLICE_MS;
      }
      this.#lookUp(ready, plan, index, found, wanted);
    }
    return found.isKnown
      ? this.#replyInSlices(ready, plan, found, NOTHING_TO_RUN)
      : this.#complete(ready, asked, found, abort);
  }

  #lookUp<R>(
    ready: ReadyModel,
    plan: RowPlan<R>,
    index: number,
    found: Lookup,
    wanted: number,
  ): void {
    const row = plan.rows[index] ?? '';
    const key = this.#keys.of(this.#scopeOf(ready, plan, row), keyTextOf(row));
    const result = this.#cache.memory.get(key);
    const isEnough = result !== undefined && hasLabels(result, wanted);
    found.keys[index] = key;
    found.rows[index] = isEnough ? { result, source: 'memory' } : undefined;
    found.isKnown &&= isEnough;
  }

  #scopeOf<R>(ready: ReadyModel, { function: asked, tokens }: RowPlan<R>, row: RowInput): KeyScope {
    let scopes = this.#scopes.get(ready);
    if (scopes === undefined) {
      scopes = new Map();
      this.#scopes.set(ready, scopes);
    }
    const kind = kindOf(row);
    // A text of its own only where there is more to tell: most rows are plain texts.
    const own = kind === '' ? (asked ?? '') : `${kind} ${asked ?? ''}`;
    const options = tokens === undefined ? '' : ` ${scopePart(JSON.stringify(tokens))}`;
    const name = `${own}${options}`;
    const known = scopes.get(name);
    if (known !== undefined) return known;
    const task = taskOf(ready.model.description, asked);
    const more = `${kind}${options}`;
    const scope = {
      digest: ready.form.digest,
      task: more === '' ? task : `${task} ${more}`,
    };
    // What callers choose must not fill the memory.
    if (scopes.size >= MOST_SCOPES) scopes.clear();
    scopes.set(name, scope);
    return scope;
  }

  /** Begins again where the model was replaced meanwhile: with the keys, the labels and the rows of the version that is there now. */
  async #complete<R>(
    ready: ReadyModel,
    asked: Asked<R>,
    found: Lookup,
    abort: Abortable,
  ): Promise<Classification<R>> {
    try {
      return await this.#completeOn(ready, asked, found, abort);
    } catch (error) {
      if (!(error instanceof ReplacedModel)) throw error;
      const { task, user, isJob } = asked;
      return await this.#answer(error.ready, { model: ready.model.id, task, user, isJob }, abort);
    }
  }

  /** Looks up in Redis what memory does not have, and computes the rest. */
  async #completeOn<R>(
    ready: ReadyModel,
    { plan, user, isJob }: Asked<R>,
    found: Lookup,
    abort: Abortable,
  ): Promise<Classification<R>> {
    const { keys, rows } = found;
    const labels = ready.model.description.labels.length;
    const wanted = wantedLabels(labels, plan.topK);
    const keep = keptLabels(labels, wanted);
    // A result that is being computed now arrives here before it arrives in Redis.
    const isComputing = (key: string) => this.#dispatcher.isComputing(runKeyOf(key, keep));
    const asked = isJob ? [] : missingOf(keys, rows).filter((key) => !isComputing(key));
    const looking = this.#cache.findInRedis(asked, labels);
    if (looking !== undefined) this.#take(await looking, asked, keys, rows, wanted);
    const times = rows.includes(undefined)
      ? await this.#compute(ready, { plan, user, isJob, keep, abort }, keys, rows)
      : NOTHING_TO_RUN;
    return this.#replyInSlices(ready, plan, found, times);
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
  async #compute<R>(
    ready: ReadyModel,
    of: {
      readonly plan: RowPlan<R>;
      readonly user: string;
      readonly isJob: boolean;
      readonly keep: number | undefined;
      readonly abort: Abortable;
    },
    keys: readonly string[],
    rows: (SourcedResult | undefined)[],
  ): Promise<Timing> {
    const { keep, abort, user, isJob } = of;
    const { rows: inputs, rowsPerAnswer, function: own, tokens } = of.plan;
    const places = new Map(keys.map((key, index) => [key, index]));
    const wanted = missingOf(keys, rows);
    const at = wanted.map((key) => places.get(key) ?? 0);
    const asked = at.map((index) => inputs[index] ?? '');
    const runKeys = wanted.map((key) => runKeyOf(key, keep));
    const positions = at.map((index) => Math.floor(index / rowsPerAnswer));
    const what = { keep, function: own, tokens };
    const keepResult = isJob ? dropped : this.#keep;
    // The rest of an answer that has become too large need not run.
    const tooLarge = tokens === undefined ? undefined : new AbortController();
    const budget = new EntityBudget(inputs.length, this.#maxAnswerScores);
    const onResult = (runKey: string, result: CachedResult): void => {
      keepResult(runKey, result);
      const error = tooLarge && budget.add(result.entities?.length ?? 0);
      if (error !== undefined) tooLarge?.abort(error);
    };
    const keyed = { keys: runKeys, positions, onResult, ...what };
    const how = isJob ? 'submitJob' : 'submit';
    const until =
      tooLarge === undefined ? abort : { signal: AbortSignal.any([abort.signal, tooLarge.signal]) };
    const answer = await onWholeForm(this.#library, ready, abort, (using) =>
      this.#dispatcher[how](using, asked, until, user, keyed),
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

  #reply<R>(
    ready: ReadyModel,
    plan: RowPlan<R>,
    { keys, rows }: Lookup,
    timing: Timing,
  ): Classification<R> {
    if (plan.tokens !== undefined) this.#checkEntities(rows);
    const answer = newAnswer(ready.model.id, plan, keys, timing);
    for (let index = 0; index < answer.results.length; index += 1) {
      fillIn(answer, index, plan, rows);
    }
    this.#count(ready, plan, rows);
    return answer;
  }

  /** Makes a large answer in slices, and serves others in between. */
  async #replyInSlices<R>(
    ready: ReadyModel,
    plan: RowPlan<R>,
    { keys, rows }: Lookup,
    timing: Timing,
  ): Promise<Classification<R>> {
    if (plan.tokens !== undefined) this.#checkEntities(rows);
    const answer = newAnswer(ready.model.id, plan, keys, timing);
    let scores = 0;
    for (let index = 0; index < answer.results.length; index += 1) {
      fillIn(answer, index, plan, rows);
      const one = rows[index * plan.rowsPerAnswer]?.result.scores.length ?? 0;
      scores += one * plan.rowsPerAnswer;
      if (scores < SCORES_PER_SLICE) continue;
      scores = 0;
      await this.#yield.next();
    }
    this.#count(ready, plan, rows);
    return answer;
  }

  /** Those from the cache count too. @throws PlimsollError ANSWER_TOO_LARGE */
  #checkEntities(rows: readonly (SourcedResult | undefined)[]): void {
    const budget = new EntityBudget(rows.length, this.#maxAnswerScores);
    for (const row of rows) {
      const error = budget.add(row?.result.entities?.length ?? 0);
      if (error !== undefined) throw error;
    }
  }

  #count<R>(
    { model }: ReadyModel,
    { task }: RowPlan<R>,
    rows: readonly (SourcedResult | undefined)[],
  ): void {
    const { cacheHits, cacheMisses, inputs, taskRequests, taskRows } = this.#metrics;
    taskRequests.add(task, 1);
    taskRows.add(task, rows.length);
    const memory = countOf(rows, 'memory');
    const redis = countOf(rows, 'redis');
    inputs.add(model.id, rows.length);
    if (memory > 0) cacheHits.add('memory', memory);
    if (redis > 0) cacheHits.add('redis', redis);
    if (memory + redis < rows.length) cacheMisses.inc(rows.length - memory - redis);
  }
}

/** Results of jobs are written into parts, not kept. */
function dropped(): void {}

const NOTHING_TO_RUN: Timing = { queueMs: 0, tokenizeMs: 0, runMs: 0 };
