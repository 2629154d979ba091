/** Records a run: exact totals of everything, and as many single rows as a report holds. */
import type { LabelledInput } from './inputs.js';
import type {
  Reading,
  ReadingTotals,
  RequestRow,
  RequestTotals,
  Sampled,
  SessionRequests,
} from './run.js';
import { describeSampled, Moments, Sample } from './sample.js';

/** Single requests and readings in a report: its file stays at some MB however long the run was. */
const MAX_REQUESTS = 20_000;
const MAX_READINGS = 10_000;
/** Failed requests are sampled separately, so that few of them are never dropped. */
const MAX_FAILURES = 1_000;

export class Recorder {
  readonly #inputs: readonly LabelledInput[];
  readonly #requests = new Sample<RequestRow>(MAX_REQUESTS);
  readonly #failures = new Sample<RequestRow>(MAX_FAILURES);
  readonly #readings = new Sample<Reading>(MAX_READINGS);
  readonly #response = new Moments();
  readonly #tiers = new Map<string, number>();
  readonly #codes = new Map<string, number>();
  readonly #sentInputs = new Set<number>();
  readonly #firstAnswers = new Map<number, boolean>();
  #sent = 0;
  readonly #used = new Moments();
  readonly #private = new Moments();
  readonly #levels = new Map<string, number>();
  readonly #processCounts = new Map<number, number>();
  #readingsMissed = 0;
  #readingCount = 0;
  #lastReading: Reading | null = null;

  constructor(inputs: readonly LabelledInput[]) {
    this.#inputs = inputs;
  }

  request(row: RequestRow): void {
    this.#sent += 1;
    this.#sentInputs.add(row.input);
    if (!row.ok) {
      countUp(this.#codes, row.code ?? 'UNKNOWN');
      this.#failures.add(row);
      return;
    }
    this.#requests.add(row);
    this.#response.add(row.ms);
    countUp(this.#tiers, row.cached ?? 'none');
    if (row.label === null || row.expected === null || this.#firstAnswers.has(row.input)) return;
    // `SPAM` and `spam` are one label.
    this.#firstAnswers.set(row.input, row.label.toLowerCase() === row.expected.toLowerCase());
  }

  reading(reading: Reading): void {
    this.#readingCount += 1;
    this.#readings.add(reading);
    this.#used.add(reading.usedMb);
    if (reading.privateMb !== null) this.#private.add(reading.privateMb);
    countUp(this.#levels, reading.pressure);
    countUp(this.#processCounts, reading.processes);
    this.#lastReading = reading;
  }

  readingMissed(): void {
    this.#readingsMissed += 1;
  }

  get requestTotals(): RequestTotals {
    const { count: ok } = this.#response;
    const texts = new Set([...this.#sentInputs].map((input) => this.#inputs[input]?.text));
    return {
      ...{ sent: this.#sent, ok, failed: this.#sent - ok, response: this.#response },
      ...{ tiers: this.#tiers, codes: this.#codes, distinctTexts: texts.size },
      labelled: this.#firstAnswers.size,
      correct: [...this.#firstAnswers.values()].filter(Boolean).length,
    };
  }

  get readingTotals(): ReadingTotals {
    return {
      ...{ count: this.#readingCount, missed: this.#readingsMissed, used: this.#used },
      ...{ private: this.#private, levels: this.#levels, processCounts: this.#processCounts },
      last: this.#lastReading,
    };
  }

  /** Successful requests, and the failed ones among them, in the order in which they were due. */
  get requests(): Sampled<RequestRow> {
    const items = [...this.#requests.items, ...this.#failures.items];
    items.sort((a, b) => a.startMs - b.startMs);
    return { items, oneOf: this.#requests.oneOf };
  }

  get readings(): Sampled<Reading> {
    return { items: this.#readings.items, oneOf: this.#readings.oneOf };
  }
}

/** Totals of one session. */
export class SessionRecorder {
  readonly #times = new Sample<number>(MAX_REQUESTS);
  readonly #response = new Moments();
  readonly #processCounts = new Set<number>();
  #sent = 0;
  #fromCache = 0;
  #users = 0;
  #highestMb: number | null = null;
  #highestWorkersMb: number | null = null;
  usersFell = false;

  request(row: RequestRow): void {
    this.#sent += 1;
    if (!row.ok) return;
    this.#times.add(row.ms);
    this.#response.add(row.ms);
    if (row.cached !== 'none') this.#fromCache += 1;
  }

  reading({ phase, privateMb, workersMb, processes, usersSinceRecycle }: Reading): void {
    this.#processCounts.add(processes);
    const users = usersSinceRecycle ?? this.#users;
    if (users < this.#users) this.usersFell = true;
    this.#users = users;
    if (phase === 'after cleanup') return;
    this.#highestMb = higher(this.#highestMb, privateMb);
    this.#highestWorkersMb = higher(this.#highestWorkersMb, workersMb);
  }

  get highest() {
    return { highestMb: this.#highestMb, highestWorkersMb: this.#highestWorkersMb };
  }

  get processCounts(): readonly number[] {
    return [...this.#processCounts];
  }

  get requests(): SessionRequests {
    const { count: ok } = this.#response;
    return {
      ...{ sent: this.#sent, ok, failed: this.#sent - ok, fromCache: this.#fromCache },
      response: describeSampled(this.#response, this.#times.items),
    };
  }
}

function countUp<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function higher(before: number | null, now: number | null): number | null {
  return now === null ? before : Math.max(before ?? 0, now);
}
