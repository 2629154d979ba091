/** Load whose answers are known beforehand, and memory at rest: for benchmarks that disturb a server. */
import { type Api, privateMb, topLabels } from './api.js';
import { pause, rollingSessions, Tally } from './load.js';
import { median } from './spread.js';
import { Texts } from './users/texts.js';

const TEXTS = 64;
/** Texts whose two labels are nearly even are left out: with random weights their label proves nothing. */
const LEAST_MARGIN = 0.005;
export const SCORE_TOLERANCE = 1e-3;
const READINGS_AT_REST = 5;

export interface Expected {
  readonly text: string;
  readonly label: string;
  readonly score: number;
}

/** Answers of the server before anything is killed, one text at a time. */
export async function expectedAnswers(api: Api, model: string): Promise<readonly Expected[]> {
  const texts = new Texts(10);
  const expected: Expected[] = [];
  for (let tries = 0; tries < 20 * TEXTS && expected.length < TEXTS; tries += 1) {
    const text = texts.next(4 + (tries % 40));
    const [top] = topLabels(await api.classify({ model, inputs: text }));
    if (top !== undefined && 2 * top.score - 1 >= LEAST_MARGIN) expected.push({ text, ...top });
  }
  if (expected.length < TEXTS / 2) throw new Error('too few texts with a clear label');
  return expected;
}

export interface KnownAnswersOptions {
  readonly model: string;
  readonly expected: readonly Expected[];
  readonly users: number;
  /** Of each user in one session. */
  readonly requestsPerUser: number;
  /** Wait of a user before each request. */
  readonly pauseMs?: number;
}

/** Users in fresh sessions who send texts whose answers are known, and compare. */
export class KnownAnswers {
  readonly tally = new Tally();
  readonly wrong: unknown[] = [];
  largestDifference = 0;
  readonly #api: Api;
  readonly #options: KnownAnswersOptions;
  #next = 0;

  constructor(api: Api, options: KnownAnswersOptions) {
    this.#api = api;
    this.#options = options;
  }

  /** @returns how many sessions were ended */
  run(seconds: number): Promise<number> {
    const until = Date.now() + seconds * 1000;
    const { users, requestsPerUser } = this.#options;
    return rollingSessions(this.#api, {
      ...{ users, requestsPerUser },
      goOn: () => Date.now() < until,
      send: (session, user) => this.#send(session, user),
    });
  }

  async #send(session: string, user: string): Promise<boolean> {
    const expected = this.#options.expected[this.#next++ % this.#options.expected.length];
    if (expected === undefined) throw new Error('no texts');
    const { model, pauseMs = 0 } = this.#options;
    if (pauseMs > 0) await pause(pauseMs);
    const inputs = expected.text;
    const reply = await this.#api.classify({ model, session, user, inputs });
    if (!this.tally.take(reply)) return false;
    const [top] = topLabels(reply);
    const difference = Math.abs((top?.score ?? Number.NaN) - expected.score);
    this.largestDifference = Math.max(this.largestDifference, difference);
    if (top?.label !== expected.label || !(difference <= SCORE_TOLERANCE)) {
      this.wrong.push({ expected, got: top });
    }
    return true;
  }
}

/** Private memory in MB once all workers are there and the last session's cleanup is over. */
export async function atRest(api: Api): Promise<number> {
  await pause(3000);
  const readings: number[] = [];
  for (let reading = 0; reading < READINGS_AT_REST; reading += 1) {
    // A session without requests ends with a cleanup: every heap is collected before the reading.
    await api.endSession(await api.openSession());
    readings.push(privateMb(await api.memory()));
    await pause(200);
  }
  return median(readings);
}
