import type { Receipt } from '../../src/contract/receipts.js';
import { quantile } from '../../src/proof/statistics.js';
import type { Api } from '../harness/api.js';
import {
  atMost,
  type Benchmark,
  type Context,
  exactly,
  type Fact,
  type Outcome,
} from '../harness/benchmark.js';
import { closedLoop, pause, Tally } from '../harness/load.js';
import { syntheticModels } from '../harness/models.js';
import { startServer } from '../harness/server.js';
import { latencies, rounded, spread } from '../harness/spread.js';
import { Texts } from '../harness/texts.js';

/** Cleanups in a phase, and phases with and without them, in turn. */
const PHASES = { full: 10, quick: 2 };
const CLEANUPS_PER_PHASE = { full: 50, quick: 15 };
/** From one session's beginning to the next one's. */
const EVERY_MS = 250;
const WARM_UP_MS = 5000;
const USERS = 4;

/** Cleanups are short, and another session that works meanwhile does not notice. */
export const cleanup: Benchmark = {
  name: 'cleanup',
  about: '500 cleanups while another session works: how long they take, and what the other feels',
  run,
};

interface Phase {
  readonly from: number;
  readonly to: number;
  readonly cleanups: boolean;
}

async function run(context: Context): Promise<Outcome> {
  const { progress, quick } = context;
  const [working, ending] = await syntheticModels('minilm', 2, progress);
  if (working === undefined || ending === undefined) throw new Error('no models');
  const { api } = await startServer(context, {
    models: [working, ending],
    settings: { 'cache.max_size': 0, 'recycle.after_users': 1_000_000_000 },
  });
  const [tally, others] = [new Tally(), new Tally()];
  const texts = new Texts(6);
  const session = await api.openSession();
  let over = false;
  context.defer(async () => {
    over = true;
  });
  const load = closedLoop(
    USERS,
    () => !over,
    async (user) => {
      const inputs = texts.next();
      return tally.take(
        await api.classify({ model: working.id, session, user: `${user}`, inputs }),
      );
    },
  );
  await pause(WARM_UP_MS);
  const one = new OneRequest(api, ending.id, others);
  const phases: Phase[] = [];
  const [count, perPhase] = quick
    ? [PHASES.quick, CLEANUPS_PER_PHASE.quick]
    : [PHASES.full, CLEANUPS_PER_PHASE.full];
  for (let number = 0; number < 2 * count; number += 1) {
    const cleanups = number % 2 === 1;
    progress.at(`phase ${number + 1} of ${2 * count}, ${cleanups ? 'with' : 'without'} cleanups`);
    if (!cleanups) await one.open();
    const from = Date.now();
    for (let n = 0; n < perPhase; n += 1) {
      const next = pause(EVERY_MS);
      await (cleanups ? one.withCleanup() : one.alone());
      await next;
    }
    phases.push({ from, to: Date.now(), cleanups });
    // It must not keep the model in use while the next phase's sessions end.
    if (!cleanups) await one.close();
  }
  over = true;
  await load;
  return judge(tally, others, one.receipts, phases);
}

/** The same request with and without a session that ends, so that only the cleanup differs. */
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

  /** The session of a phase without cleanups. */
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

function judge(
  tally: Tally,
  others: Tally,
  receipts: readonly Receipt[],
  phases: readonly Phase[],
): Outcome {
  const of = (cleanups: boolean) => {
    const inside = phases.filter((phase) => phase.cleanups === cleanups);
    return tally.replies
      .filter(({ sentAtMs }) => inside.some(({ from, to }) => sentAtMs >= from && sentAtMs < to))
      .map(({ ms }) => ms);
  };
  const durations = receipts.map(({ duration_ms: ms }) => ms);
  const [without, during] = [of(false), of(true)];
  const ratio = quantile(during, 0.99) / quantile(without, 0.99);
  const failures = [...tally.failures, ...others.failures];
  return {
    checks: [
      atMost('p95 of a cleanup, ms', rounded(quantile(durations, 0.95), 1), 150),
      atMost('the other session’s p99 with cleanups ÷ without', rounded(ratio), 1.3),
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
        fact: 'per phase, p99',
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
        'one request on a second model that ends (with), or the same request in a session that lasts ' +
        '(without), in alternating phases',
      failures: failures.slice(0, 20),
      durations_ms: durations.map((ms) => rounded(ms, 1)),
      phases: phases.map((phase) => ({ ...phase, p99_ms: rounded(p99Of(tally, phase), 1) })),
    },
  };
}

function p99Of(tally: Tally, { from, to }: Phase): number {
  const inside = tally.replies.filter(({ sentAtMs }) => sentAtMs >= from && sentAtMs < to);
  return quantile(
    inside.map(({ ms }) => ms),
    0.99,
  );
}

/** Where a cleanup's time goes. A step with several outcomes has its duration in each of them. */
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
