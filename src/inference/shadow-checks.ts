/** Runs some of the live inputs of a fast form on fp32 as well, when a worker has nothing to do. */
import type { LoadAdmission } from '../memory/admission.js';
import { agreementOf, boundsFor, objection } from '../models/compile/verify/judge.js';
import { thresholdOf } from '../models/intake/description.js';
import type { ScoreFunction } from '../models/intake/reading/scoring.js';
import type { ReadyModel } from '../models/library.js';
import type { RowInput } from '../models/run/row-input.js';
import { handleOf, loadNeed } from './loads/model-handles.js';
import type { RowResult } from './workers/protocol.js';
import type { Worker } from './workers/worker.js';

export interface ShadowChecksOptions {
  /** One input in this many is compared; 0: none. */
  readonly every: number;
  /** After this many a model is not compared any more. */
  readonly count: number;
  readonly threads: number;
  /** Longest time of one comparison's run. */
  readonly timeoutMs: number;
  readonly workers: () => readonly Worker[];
  /** Whether no input waits for a worker, and memory is not short. */
  readonly isQuiet: () => boolean;
  readonly admission: LoadAdmission;
  /** The model as it has to be opened for fp32; undefined if it has changed meanwhile. */
  readonly referenceOf: (ready: ReadyModel) => Promise<ReadyModel | undefined>;
  /** Live inputs disagree beyond the bounds: fp32 has to serve. */
  readonly onDisagreement: (ready: ReadyModel, reason: string) => void;
  readonly onDone: (facts: {
    model: string;
    compared: number;
    flips: number;
    shift: number;
  }) => void;
}

/** An input that has been answered. */
export interface LiveInput {
  readonly input: RowInput;
  readonly function: ScoreFunction | undefined;
  readonly result: RowResult;
}

interface Tally {
  seen: number;
  compared: number;
  flips: number;
  shift: number;
  isOver: boolean;
}

/**
 * 1. Only models whose fast form serves, until enough inputs were compared.
 * 2. An input is due when `every` others have passed. Where it cannot be compared at once it is dropped, and the next
 *    one is due: no text is kept.
 * 3. One comparison at a time, and only while no input waits, memory has room to spare, and a worker beside the one
 *    that is taken is free as well, unless there is only one.
 * 4. fp32 is opened for the comparison and closed after it.
 */
export class ShadowChecks {
  readonly #options: ShadowChecksOptions;
  /** By the digest of the fast form. */
  readonly #tallies = new Map<string, Tally>();
  #isRunning = false;

  constructor(options: ShadowChecksOptions) {
    this.#options = options;
  }

  /**
   * To be called when the answers of a batch have left, with one of its inputs. Costs next to nothing where nothing is
   * due.
   *
   * @returns settles when the comparison is over; undefined if there is none
   */
  answered(ready: ReadyModel, count: number, input: LiveInput): Promise<void> | undefined {
    const { every, count: enough } = this.#options;
    if (every === 0 || ready.form.verdict?.serves !== 'fast') return undefined; // 1
    const tally = this.#tallyOf(ready);
    tally.seen += count;
    const isDue = tally.seen >= every && !tally.isOver && tally.compared < enough;
    if (!isDue || this.#isRunning) return undefined; // 2
    const worker = this.#freeWorker();
    if (worker === undefined) return undefined;
    const need = loadNeed(ready);
    const { sourceBytes } = ready.form.footprint;
    const settle = this.#options.admission.askForSpare(need.privateBytes, sourceBytes); // 3
    if (settle === undefined) return undefined;
    tally.seen = 0;
    this.#isRunning = true;
    return this.#compare(ready, input, worker, tally)
      .catch(() => undefined) // A worker that ends, or a text that fp32 refuses, says nothing of the fast form.
      .finally(() => {
        this.#isRunning = false;
        settle();
      });
  }

  #tallyOf({ form }: ReadyModel): Tally {
    const known = this.#tallies.get(form.digest);
    if (known !== undefined) return known;
    const tally = { seen: 0, compared: 0, flips: 0, shift: 0, isOver: false };
    this.#tallies.set(form.digest, tally);
    return tally;
  }

  #freeWorker(): Worker | undefined {
    if (!this.#options.isQuiet()) return undefined;
    const workers = this.#options.workers().filter(({ state }) => state === 'ready');
    const free = workers.filter(({ capacity }) => capacity === 'now');
    return free.length >= Math.min(2, workers.length) ? free.at(-1) : undefined;
  }

  async #compare(ready: ReadyModel, input: LiveInput, worker: Worker, tally: Tally): Promise<void> {
    const { threads, timeoutMs, referenceOf } = this.#options;
    const reference = await referenceOf(ready);
    // Meanwhile a caller may have taken the worker.
    if (reference === undefined || worker.capacity !== 'now') return;
    const handle = { ...handleOf(reference, threads), id: shadowIdOf(ready.model.id) };
    const functions = input.function === undefined ? undefined : [input.function];
    try {
      const { rows } = await worker.run(handle, [input.input], { timeoutMs, functions });
      const scores = rows[0]?.scores;
      if (scores !== undefined) this.#judge(ready, input, scores, tally); // 4
    } finally {
      await worker.unload(handle.id);
    }
  }

  #judge(ready: ReadyModel, input: LiveInput, exact: readonly number[], tally: Tally): void {
    const { count, onDisagreement, onDone } = this.#options;
    const { verdict } = ready.form;
    if (verdict === undefined || tally.isOver) return;
    const { description } = ready.model;
    const { labels, scoring } = description;
    const labelling = {
      scoring: input.function ?? scoring,
      thresholds: labels.map((label) => thresholdOf(description, label)),
    };
    const fast = wholeRow(input.result, exact);
    const answers = { reference: [exact], alone: [fast], batched: [fast] };
    const one = agreementOf(answers, labelling, verdict.bounds);
    tally.compared += 1;
    tally.flips += one.clearFlips + one.nearFlips;
    tally.shift = Math.max(tally.shift, one.shift);
    const { compared, flips, shift } = tally;
    const agreement = {
      ...{ rows: compared, labels: (100 * (compared - flips)) / compared, shift, neighbours: 0 },
      ...{ clearFlips: flips, nearFlips: 0 },
    };
    const reason = objection(agreement, boundsFor(compared, count, verdict.bounds));
    if (reason !== undefined) {
      tally.isOver = true;
      onDisagreement(ready, `of ${compared} live inputs ${reason}`);
    } else if (compared >= count) onDone({ model: ready.model.id, compared, flips, shift });
  }
}

/** Ids of models hold no `#`: it would be escaped. */
function shadowIdOf(model: string): string {
  return `${model}#fp32`;
}

/** Scores of all labels, where only the best were asked for: the others are taken to be at most as good. */
function wholeRow({ scores, labels }: RowResult, exact: readonly number[]): readonly number[] {
  if (labels === undefined) return scores;
  const least = Math.min(...scores);
  const whole = exact.map((score) => Math.min(score, least));
  for (const [at, label] of labels.entries()) whole[label] = scores[at] ?? least;
  return whole;
}
