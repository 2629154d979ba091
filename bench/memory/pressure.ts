import type { Receipt } from '../../src/contract/receipts.js';
import type { MemoryView } from '../../src/contract/state/memory.js';
import { PRESSURE_ACTIONS } from '../../src/memory/policy.js';
import type { Api } from '../harness/api.js';
import {
  atLeast,
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { type Child, startChild } from '../harness/child.js';
import { pause, startSessionLoad, Tally } from '../harness/load.js';
import { MemoryCgroup } from '../harness/machine/cgroup.js';
import { twoSyntheticModels } from '../harness/models.js';
import { NO_RECYCLING, startServer } from '../harness/server.js';
import { latencies } from '../harness/spread.js';
import { Texts } from '../harness/users/texts.js';

const LIMIT_BYTES = 1536 * 2 ** 20;
const STEP_MB = 16;
const STEP_MS = 150;
/** Memory is taken up to this share of the cgroup at most, so that the kernel kills nobody. */
const MOST_SHARE = 0.9;
const HOLD_MS = { full: 10_000, quick: 4000 };
const BACK_TO_NORMAL_MS = 60_000;
const LEAST_ACTIONS = 5;
const USERS = 4;
const WRITTEN_ORDER: readonly string[] = PRESSURE_ACTIONS;
const LEVELS = ['normal', 'elevated', 'critical'];

export const pressure: Benchmark = {
  name: 'pressure',
  about:
    'requests that fail while another process takes memory beyond the load line and gives it back',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const cgroup = await MemoryCgroup.create(context, LIMIT_BYTES);
  const [working, idle] = await twoSyntheticModels('minilm', context.progress);
  const settings = NO_RECYCLING;
  const { api } = await startServer(context, { models: [working, idle], settings, cgroup });
  const taker = startChild(context, 'memory/memory-taker-main', [], { cgroup });
  const begun = Date.now();
  const tally = new Tally();
  const texts = new Texts(9);
  const load = await startSessionLoad(context, api, {
    ...{ users: USERS, model: working.id, texts, tally },
  });
  // A second model that nobody uses any more, so that there is something to unload.
  const { session } = load;
  tally.take(await api.classify({ model: idle.id, session, user: '0', inputs: texts.next() }));
  const watch = new Watch(api, context);
  await watch.look();
  await takeUntilCritical(taker, watch);
  await watch.hold(sizeOf(context, HOLD_MS));
  await giveBack(taker, watch);
  await watch.untilNormal();
  const opensAgain = (await api.tryOpenSession()).status;
  await load.stop();
  const receipts = await api.receipts('pressure', begun);
  return outcomeOf({ watch, tally, opensAgain, cgroup, receipts });
}

/** Reads the level, and tries to open sessions while memory is held. */
class Watch {
  readonly seen: { atMs: number; level: string; usedMb: number; lineMb: number }[] = [];
  refused = 0;
  refusedWithoutRetry = 0;
  refusedOtherwise = 0;
  readonly #api: Api;
  readonly #context: Context;

  constructor(api: Api, context: Context) {
    this.#api = api;
    this.#context = context;
  }

  async look(): Promise<MemoryView> {
    const view = await this.#api.memory();
    const { pressure: level, server_used_mb: usedMb, load_line_mb: lineMb } = view;
    this.seen.push({ atMs: Date.now(), level, usedMb, lineMb });
    const figures = `${usedMb.toFixed(0)} of ${lineMb.toFixed(0)} MB`;
    this.#context.progress.at(`${level}, ${figures}, ${this.refused} sessions refused`);
    return view;
  }

  async hold(ms: number): Promise<void> {
    const until = Date.now() + ms;
    while (Date.now() < until) {
      await this.look();
      await this.#tryToOpen();
      await pause(STEP_MS);
    }
  }

  async untilNormal(): Promise<void> {
    const until = Date.now() + BACK_TO_NORMAL_MS;
    while ((await this.look()).pressure !== 'normal' && Date.now() < until) await pause(STEP_MS);
    // The refusals end with the next regular reading.
    await pause(2000);
    await this.look();
  }

  async #tryToOpen(): Promise<void> {
    const reply = await this.#api.tryOpenSession();
    if (reply.status === 503) {
      this.refused += 1;
      if (reply.retryAfter === undefined) this.refusedWithoutRetry += 1;
    } else if (reply.status === 201) {
      await this.#api.endSession((reply.body as { readonly id: string }).id);
    } else this.refusedOtherwise += 1;
  }
}

async function takeUntilCritical(taker: Child, watch: Watch): Promise<void> {
  for (;;) {
    const view = await watch.look();
    if (view.pressure === 'critical') return;
    if (view.server_used_mb > MOST_SHARE * view.server_total_mb) {
      throw new Error(`${view.server_used_mb} MB in use, and still ${view.pressure}`);
    }
    taker.tell(STEP_MB);
    await taker.next();
    await pause(STEP_MS);
  }
}

async function giveBack(taker: Child, watch: Watch): Promise<void> {
  for (;;) {
    taker.tell(-STEP_MB);
    const left = Number(await taker.next());
    await watch.look();
    if (left === 0) return;
    await pause(STEP_MS / 3);
  }
}

interface Played {
  readonly watch: Watch;
  readonly tally: Tally;
  readonly opensAgain: number;
  readonly cgroup: MemoryCgroup;
  readonly receipts: readonly Receipt[];
}

async function outcomeOf(played: Played): Promise<Outcome> {
  const { watch, tally, opensAgain, cgroup, receipts } = played;
  const levels = watch.seen.map(({ level }) => level);
  const path = levels.filter((level, index) => level !== levels[index - 1]);
  const actions = receipts.map(({ cause }) => cause.split(': ')[1] ?? cause);
  const firsts = [...new Set(actions)].map((action) => WRITTEN_ORDER.indexOf(action));
  const outOfOrder = firsts.filter((place, index) => place < (firsts[index - 1] ?? -1)).length;
  const highest = Math.max(...levels.map((level) => LEVELS.indexOf(level)));
  const peak = Math.max(...watch.seen.map(({ usedMb }) => usedMb));
  const sent = tally.replies.length + tally.failures.length;
  return {
    headline: `${tally.failures.length} of ${sent.toLocaleString('en-US')}; ${path.join(' → ')}`,
    checks: [
      exactly('highest level (2 is critical)', highest, 2),
      exactly('level at the end (0 is normal)', LEVELS.indexOf(levels.at(-1) ?? ''), 0),
      exactly('actions that came before an earlier one of the written order', outOfOrder, 0),
      atLeast('different actions taken', firsts.length, LEAST_ACTIONS),
      exactly('failed requests of the running session', tally.failures.length, 0),
      atLeast('new sessions refused with 503 while critical', watch.refused, 1),
      exactly(
        'refusals of another kind, or without Retry-After',
        watch.refusedOtherwise + watch.refusedWithoutRetry,
        0,
      ),
      exactly('status of a new session afterwards', opensAgain, 201),
      exactly('processes killed for lack of memory', await cgroup.kills(), 0),
    ],
    facts: [
      ...tally.failureFacts,
      { fact: 'levels', value: path.join(' → ') },
      { fact: 'actions', value: [...new Set(actions)].join(' → ') },
      {
        fact: 'most in use',
        value: `${peak.toFixed(0)} MB, line ${watch.seen[0]?.lineMb.toFixed(0) ?? '?'} MB`,
      },
      {
        fact: 'answers of the running session',
        value: latencies(tally.replies.map(({ ms }) => ms)),
      },
    ],
    details: {
      definition:
        'server and the process that takes memory in one cgroup of 1,536 MB with the default load line; the running ' +
        `session has ${USERS} users in closed loop; a new session is asked for every ${STEP_MS} ms while memory is held`,
      cgroup_version: cgroup.version,
      seen: watch.seen,
      receipts: receipts.map(
        ({ started_at: at, duration_ms: ms, cause, freed_private_mb: freed }) => ({
          at,
          ms,
          cause,
          freed,
        }),
      ),
      failures: tally.firstFailures,
    },
  };
}
