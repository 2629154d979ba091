import { cp, writeFile } from 'node:fs/promises';
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
import { ROOMY_SESSIONS, startServer, UNCACHED } from '../harness/server.js';
import { median, rounded, spread } from '../harness/spread.js';
import { realMails } from '../harness/users/mails.js';
import { wrongAnswers } from './wrong-answers.js';

/** Required share of our own door's requests per second. */
const LEAST = 0.93;
const USERS = [1, 32] as const;
const TEXTS = 200;
const SIZES = {
  full: { rounds: 9, ms: 3000, warmUpMs: 3000 },
  quick: { rounds: 2, ms: 1000, warmUpMs: 1000 },
};
/** For the door that asks a model which of its labels stand for what. */
const MODERATIONS = { moderations: { spam: { categories: ['illicit'], from: 0.5 } } };

interface AskedDoor {
  readonly name: string;
  readonly path: string;
  readonly body: (text: string) => object;
  /** What only an answer holds. */
  readonly wanted: string;
}

const OWN: AskedDoor = {
  name: 'plimsoll',
  path: '/v1/classify',
  body: (inputs) => ({ inputs }),
  wanted: '"results":[[{',
};

const OTHERS: readonly AskedDoor[] = [
  {
    name: 'huggingface',
    path: '/models/spam',
    body: (inputs) => ({ inputs }),
    wanted: '[[{"label"',
  },
  { name: 'tei', path: '/predict', body: (inputs) => ({ inputs }), wanted: '[{"label"' },
  {
    name: 'openai',
    path: '/v1/moderations',
    body: (input) => ({ input }),
    wanted: '"flagged"',
  },
  {
    name: 'vllm',
    path: '/classify',
    body: (input) => ({ model: 'spam', input }),
    wanted: '"probs"',
  },
  {
    name: 'open-inference',
    path: '/v2/models/spam/infer',
    body: (text) => ({
      inputs: [{ name: 'text', datatype: 'BYTES', shape: [1], data: [text] }],
    }),
    wanted: '"outputs":[{',
  },
];

export const doors: Benchmark = {
  name: 'doors',
  about: 'requests/s of each door at 1 and 32 users, as parts of our own door’s',
  run,
};

type Cache = 'computed' | 'from memory';
interface Turn {
  readonly perSecond: number;
  readonly result: LoadResult;
}

async function run(context: Context): Promise<Outcome> {
  const { rounds, ms, warmUpMs } = sizeOf(context, SIZES);
  const texts = realMails().slice(0, TEXTS);
  const models = [await moderatingModel(context)];
  const ports: Record<Cache, number> = {
    computed: await portOf(context, models, UNCACHED),
    'from memory': await portOf(context, models, {}),
  };
  const client = startChild(context, 'data/http-load-main', []);
  const turns = new Map<string, Turn[]>();
  for (const cache of ['computed', 'from memory'] as const) {
    for (const users of USERS) {
      for (const door of [OWN, ...OTHERS])
        await ask(client, ports[cache], door, texts, users, warmUpMs);
      for (let round = 1; round <= rounds; round += 1) {
        context.progress.at(`${cache}, ${users} users: round ${round} of ${rounds}`);
        // In turn, so that what else the machine does meets all of them.
        for (const door of [OWN, ...OTHERS]) {
          const turn = await ask(client, ports[cache], door, texts, users, ms);
          const key = keyOf(door, cache, users);
          turns.set(key, [...(turns.get(key) ?? []), turn]);
        }
      }
    }
  }
  return outcomeOf(turns);
}

function keyOf({ name }: AskedDoor, cache: Cache, users: number): string {
  return `${name}, ${users} ${users === 1 ? 'user' : 'users'}, ${cache}`;
}

async function moderatingModel(context: Context) {
  const directory = path.join(await temporaryFolder(context, 'moderating'), 'spam');
  await cp(bundledModel.directory, directory, { recursive: true, dereference: true });
  await writeFile(path.join(directory, 'plimsoll.json'), JSON.stringify(MODERATIONS));
  return { ...bundledModel, directory };
}

async function portOf(
  context: Context,
  models: Parameters<typeof startServer>[1]['models'],
  settings: Readonly<Record<string, string | number>>,
): Promise<number> {
  const { url } = await startServer(context, {
    models,
    settings: { ...settings, ...ROOMY_SESSIONS },
  });
  return Number(new URL(url).port);
}

async function ask(
  client: Child,
  port: number,
  door: AskedDoor,
  texts: readonly string[],
  connections: number,
  ms: number,
): Promise<Turn> {
  const bodies = texts.map((text) => JSON.stringify(door.body(text)));
  const job: LoadJob = {
    ...{ port, bodies, connections, ms },
    path: door.path,
    wanted: door.wanted,
  };
  client.tell(job);
  const result = (await client.next()) as LoadResult;
  return { perSecond: result.answered / result.seconds, result };
}

function outcomeOf(turns: ReadonlyMap<string, readonly Turn[]>): Outcome {
  const checks: Check[] = [];
  const facts: Fact[] = [];
  const least: number[] = [];
  const of = (door: AskedDoor, cache: Cache, users: number) =>
    turns.get(keyOf(door, cache, users)) ?? [];
  for (const cache of ['computed', 'from memory'] as const) {
    for (const users of USERS) {
      const own = of(OWN, cache, users);
      const rate = spread(
        own.map(({ perSecond }) => perSecond),
        '',
        0,
      );
      facts.push({ fact: `${keyOf(OWN, cache, users)}: requests/s`, value: rate });
      for (const door of OTHERS) {
        const ratios = of(door, cache, users).map(
          ({ perSecond }, round) => perSecond / (own[round]?.perSecond ?? Number.NaN),
        );
        const name = `${keyOf(door, cache, users)} ÷ own door`;
        facts.push({ fact: name, value: spread(ratios) });
        if (cache === 'from memory') continue;
        checks.push(atLeast(name, rounded(median(ratios)), LEAST));
        least.push(median(ratios));
      }
    }
  }
  const wrong = wrongAnswers([...turns.values()].flat().map(({ result }) => result));
  const details = {
    texts: TEXTS,
    perSecond: Object.fromEntries(
      [...turns].map(([key, all]) => [key, all.map(({ perSecond }) => perSecond)] as const),
    ),
  };
  return {
    headline: Math.min(...least).toFixed(2),
    checks: [...checks, wrong.check],
    facts: [...facts, ...wrong.facts],
    details,
  };
}
