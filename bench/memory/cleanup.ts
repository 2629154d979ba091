import type { Receipt } from '../../src/contract/receipts.js';
import type { Api } from '../harness/api.js';
import {
  atMost,
  type Benchmark,
  type Context,
  exactly,
  type Fact,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { pause, startSessionLoad, Tally } from '../harness/load.js';
import { twoSyntheticModels } from '../harness/models.js';
import { NO_RECYCLING, startServer, UNCACHED } from '../harness/server.js';
import { latencies, quantile, rounded, spread } from '../harness/spread.js';
import { Texts } from '../harness/users/texts.js';

/** Pairs of phases, one without and one with cleanups, and the sessions of each phase. */
const PHASE_PAIRS = { full: 10, quick: 2 };
const SESSIONS_PER_PHASE = { full: 50, quick: 15 };
/** From the beginning of one session to that of the next. */
const EVERY_MS = 250;
const WARM_UP_MS = 5000;
const USERS = 4;
const MOST_CLEANUP_MS = 150;
const MOST_RATIO = 1.3;

export const cleanup: Benchmark = {
  name: 'cleanup',
  about: 'time of a cleanup, and what another session notices of it',
  run,
};

interface Phase {
  readonly from: number;
  readonly to: number;
  readonly cleanups: boolean;
}

async function run(context: Context): Promise<Outcome> {
  const { progress } = context;
  const [working, ending] = await twoSyntheticModels('minilm', progress);
  const { api } = await startServer(context, {
    models: [working, ending],
    settings: { ...UNCACHED, ...NO_RECYCLING },
  });
  const [tally, others] = [new Tally(), new Tally()];
  const load = await startSessionLoad(context, api, {
    ...{ users: USERS, model: working.id, texts: new Texts(6), tally },
  });
  await pause(WARM_UP_MS);
  const one = new OneRequest(api, ending.id, others);
  const phases: Phase[] = [];
  const [pairs, sessions] = [sizeOf(context, PHASE_PAIRS), sizeOf(context, SESSIONS_PER_PHASE)];
  for (let number = 0; number < 2 * pairs; number += 1) {
    const cleanups = number % 2 === 1;
    progress.at(`phase ${number + 1} of ${2 * pairs}, ${cleanups ? 'with' : 'without'} cleanups`);
    if (!cleanups) await one.open();
    const from = Date.now();
    for (let n = 0; n < sessions; n += 1) {
      const next = pause(EVERY_MS);
      await (cleanups ? one.withCleanup() : one.alone());
      await next;
    }
    phases.push({ from, to: Date.now(), cleanups });
    // An open session would keep the model in use while those of the next phase end.
    if (!cleanups) await one.close();
  }
  await load.stop();
  return outcomeOf(tally, others, one.receipts, phases);
}

/** The same request in a session that ends and in one that goes on: only the cleanup differs. */
class OneRequest {
  readonly receipts: Receipt[] = [];
  readonly #api: Api;
  readonly #model: string;
  readonly #tally: Tally;
  readonly #texts = new Texts(7);
  #lasting = '';

  constructor(api: Api, model: string, tally: Tally) {
    this.#api = api;
    this.#model = model;
    this.#tally = tally;
  }

  async withCleanup(): Promise<void> {
    const session = await this.#api.openSession();
    await this.#send(session);
    this.receipts.push((await this.#api.endSession(session)).cleanup);
  }

  async alone(): Promise<void> {
    await this.#send(this.#lasting);
  }

  /** Opens the session of a phase without cleanups. */
  async open(): Promise<void> {
    this.#lasting = await this.#api.openSession();
  }

  async close(): Promise<void> {
    await this.#api.endSession(this.#lasting);
  }

  async #send(session: string): Promise<void> {
    const inputs = this.#texts.next();
    this.#tally.take(
      await this.#api.classify({ model: this.#model, session, user: 'one', inputs }),
    );
  }
}

function outcomeOf(
  tally: Tally,
  others: Tally,
  receipts: readonly Receipt[],
  phases: readonly Phase[],
): Outcome {
  const of = (cleanups: boolean) =>
    phases.filter((phase) => phase.cleanups === cleanups).flatMap((phase) => msIn(tally, phase));
  const durations = receipts.map(({ duration_ms: ms }) => ms);
  const [without, during] = [of(false), of(true)];
  const ratio = quantile(during, 0.99) / quantile(without, 0.99);
  const p95 = quantile(durations, 0.95);
  const failures = [...tally.failures, ...others.failures];
  return {
    headline: `p95 ${p95.toFixed(0)} ms; p99 of the other session ${ratio.toFixed(2)} × that without cleanups`,
    checks: [
      atMost('p95 of a cleanup', rounded(p95, 1), MOST_CLEANUP_MS, 'ms'),
      atMost('the other session’s p99 with cleanups ÷ without', rounded(ratio), MOST_RATIO),
      exactly('failed requests', failures.length, 0),
    ],
    facts: [
      ...tally.failureFacts,
      ...others.failureFacts,
      { fact: 'cleanups', value: latencies(durations) },
      ...stepFacts(receipts),
      { fact: 'the other session with cleanups', value: latencies(during) },
      { fact: 'the other session without', value: latencies(without) },
      {
        fact: 'p99 of each phase',
        value: spread(
          phases.map((phase) => p99Of(tally, phase)),
          ' ms',
          1,
        ),
      },
    ],
    details: {
      definition:
        `minilm; another session's ${USERS} users in closed loop on one model; every ${EVERY_MS} ms a session of ` +
        'one request on a second model that ends (with), or the same request in a session that goes on ' +
        '(without), in alternating phases',
      failures: failures.slice(0, 20),
      durations_ms: durations.map((ms) => rounded(ms, 1)),
      phases: phases.map((phase) => ({ ...phase, p99_ms: rounded(p99Of(tally, phase), 1) })),
    },
  };
}

function msIn(tally: Tally, { from, to }: Phase): readonly number[] {
  const inside = tally.replies.filter(({ sentAtMs }) => sentAtMs >= from && sentAtMs < to);
  return inside.map(({ ms }) => ms);
}

function p99Of(tally: Tally, phase: Phase): number {
  return quantile(msIn(tally, phase), 0.99);
}

/** Where the time of a cleanup goes. Several actions of one step each carry the duration of the whole step. */
function stepFacts(receipts: readonly Receipt[]): readonly Fact[] {
  const times = new Map<string, number[]>();
  const add = (step: string, ms: number) => times.set(step, [...(times.get(step) ?? []), ms]);
  for (const { duration_ms: whole, actions } of receipts) {
    const steps = new Map(actions.map((of) => [`${of.action} ${of.duration_ms}`, of]));
    let rest = whole;
    for (const { action, duration_ms: ms } of steps.values()) {
      add(action, ms);
      rest -= ms;
    }
    add('readings before and after, settling', rest);
  }
  return [...times].map(([step, ms]) => ({ fact: `… ${step}`, value: spread(ms, ' ms', 1) }));
}
