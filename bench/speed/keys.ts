import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { LoadJob, LoadResult } from '../data/http-load-main.js';
import {
  atLeast,
  type Benchmark,
  type Check,
  type Context,
  type Fact,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { type Child, startChild } from '../harness/child.js';
import { bundledModel } from '../harness/models.js';
import { temporaryFolder } from '../harness/program.js';
import {
  NO_RECYCLING,
  ROOMY_SESSIONS,
  type Settings,
  startServer,
  UNCACHED,
} from '../harness/server.js';
import { median, rounded, spread } from '../harness/spread.js';
import { realMails } from '../harness/users/mails.js';
import { wrongAnswers } from './wrong-answers.js';

/** Required share of the requests per second without keys, for computed answers. */
const LEAST = 0.97;
const KEYS = 1000;
const USERS = [1, 32] as const;
const TEXTS = 200;
const SIZES = {
  full: { rounds: 15, ms: 3000, warmUpMs: 3000 },
  quick: { rounds: 2, ms: 1000, warmUpMs: 1000 },
};

export const keys: Benchmark = {
  name: 'keys',
  about:
    'requests/s with 1,000 keys that have limits, each a user of its own, as a part of those of a server without keys',
  run,
};

type Cache = 'computed' | 'from memory';

/** A server, and the keys that it is sent. */
interface Side {
  readonly port: number;
  readonly secrets: readonly string[];
}

/** What both servers answered, round by round. */
interface Turns {
  readonly name: string;
  readonly cache: Cache;
  readonly without: readonly LoadResult[];
  readonly with: readonly LoadResult[];
}

async function run(context: Context): Promise<Outcome> {
  const client = startChild(context, 'data/http-load-main', []);
  const secrets = Array.from({ length: KEYS }, () => randomBytes(32).toString('base64url'));
  const file = await keyFile(context, secrets);
  const all: Turns[] = [];
  for (const cache of ['computed', 'from memory'] as const) {
    const uncached = cache === 'computed' ? UNCACHED : {};
    // Each key is a user: workers would be replaced for every 50 of them, which is not what is measured.
    const settings = { ...ROOMY_SESSIONS, ...NO_RECYCLING, ...uncached };
    // A server without keys is sent one that is as long, so that both read as much.
    const without = { port: await portOf(context, settings), secrets: ['x'.repeat(43)] };
    const locked = { port: await portOf(context, { ...settings, 'keys.file': file }), secrets };
    for (const users of USERS) {
      all.push(await turnsOf(context, client, { without, with: locked }, cache, users));
    }
  }
  return outcomeOf(all);
}

async function keyFile(context: Context, secrets: readonly string[]): Promise<string> {
  const limits = 'requests-per-second=1000000 inputs-per-minute=100000000';
  const lines = secrets.map((secret, at) => `key-${at} classify ${secret} ${limits}\n`);
  const file = path.join(await temporaryFolder(context, 'keys'), 'keys');
  await writeFile(file, lines.join(''));
  return file;
}

async function portOf(context: Context, settings: Settings): Promise<number> {
  const { url } = await startServer(context, { models: [bundledModel], settings });
  return Number(new URL(url).port);
}

/** In turn, so that whatever else the machine does meets both alike. */
async function turnsOf(
  context: Context,
  client: Child,
  sides: { readonly without: Side; readonly with: Side },
  cache: Cache,
  users: number,
): Promise<Turns> {
  const { rounds, ms, warmUpMs } = sizeOf(context, SIZES);
  const name = `${cache}, ${users} ${users === 1 ? 'user' : 'users'}`;
  const turns = { name, cache, without: [] as LoadResult[], with: [] as LoadResult[] };
  for (const side of [sides.without, sides.with]) await load(client, side, users, warmUpMs);
  for (let round = 1; round <= rounds; round += 1) {
    context.progress.at(`${name}: round ${round} of ${rounds}`);
    turns.without.push(await load(client, sides.without, users, ms));
    turns.with.push(await load(client, sides.with, users, ms));
  }
  return turns;
}

async function load(
  client: Child,
  { port, secrets }: Side,
  connections: number,
  ms: number,
): Promise<LoadResult> {
  const bodies = realMails()
    .slice(0, TEXTS)
    .map((inputs) => JSON.stringify({ inputs }));
  const job: LoadJob = { port, bodies, secrets, connections, ms, wanted: '"results":[[{' };
  client.tell(job);
  return (await client.next()) as LoadResult;
}

/** Answers from memory have no bar: little more than the head of a request is left to do for them. */
function outcomeOf(all: readonly Turns[]): Outcome {
  const checks: Check[] = [];
  const facts: Fact[] = [];
  const details: Record<string, readonly number[]> = {};
  for (const { name, cache, without, with: locked } of all) {
    const rates = { without: without.map(rateOf), with: locked.map(rateOf) };
    const ratios = rates.with.map((rate, round) => rate / (rates.without[round] ?? Number.NaN));
    const what = `${name}: requests/s with 1,000 keys and limits ÷ without`;
    if (cache === 'computed') checks.push(atLeast(what, rounded(median(ratios)), LEAST));
    facts.push({ fact: what, value: spread(ratios) });
    facts.push({ fact: `${name}, without keys: requests/s`, value: spread(rates.without, '', 0) });
    details[`${name}, without keys`] = rates.without;
    details[`${name}, with keys`] = rates.with;
  }
  const wrong = wrongAnswers(all.flatMap((turns) => [...turns.without, ...turns.with]));
  const least = Math.min(...checks.map(({ value }) => Number(value)));
  return {
    headline: least.toFixed(2),
    checks: [...checks, wrong.check],
    facts: [...facts, ...wrong.facts],
    details,
  };
}

function rateOf({ answered, seconds }: LoadResult): number {
  return answered / seconds;
}
