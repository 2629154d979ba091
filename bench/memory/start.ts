import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readProcessMemory } from '../../src/system/process-memory.js';
import {
  atMost,
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
} from '../harness/benchmark.js';
import { pause, Tally } from '../harness/load.js';
import { bundledModel } from '../harness/models.js';
import { projectFolder, serverProgram } from '../harness/program.js';
import { startListening } from '../harness/programs/listening.js';
import { layOutModels } from '../harness/server.js';
import { median, rounded, spread } from '../harness/spread.js';
import { Texts } from '../harness/users/texts.js';

const ROUNDS = { full: 5, quick: 1 };
const SESSIONS = { full: 10, quick: 1 };
const WORDS = 60;
const MOST_APART_PERCENT = 5;
/** After the last cleanup: what the server frees in the background is free by then. */
const REST_MS = 2000;
const MB = 2 ** 20;

const IN_PROJECT = ['/bin/sh', '-c', 'cd "$0" && exec "$@"', projectFolder];
/** Each way, up to the arguments of `serve`. Units and containers start with hardly any environment. */
const WAYS: Readonly<Record<string, readonly string[]>> = {
  'node dist/main.js serve': [process.execPath, serverProgram, 'serve'],
  'dist/main.js serve': [serverProgram, 'serve'],
  'npm start': [...IN_PROJECT, 'npm', 'start', '--'],
  'npx plimsoll serve': [...IN_PROJECT, 'npx', 'plimsoll', 'serve'],
  'as a unit or a container': [
    ...['/usr/bin/env', '-i', `PATH=${process.env.PATH ?? ''}`],
    ...[process.execPath, serverProgram, 'serve'],
  ],
};

/** The server takes the same memory however it is started. */
export const start: Benchmark = {
  name: 'start',
  about: 'private memory at rest of the main process, for each way of starting the server',
  run,
};

interface Rest {
  /** Private_Dirty + Private_Hugetlb + Swap. */
  readonly mainMb: number;
  readonly allMb: number;
}

async function run(context: Context): Promise<Outcome> {
  const rounds = context.quick ? ROUNDS.quick : ROUNDS.full;
  const found = new Map<string, Rest[]>(Object.keys(WAYS).map((name) => [name, []]));
  const tally = new Tally();
  // In turns: what else the machine does meets all of them alike.
  for (let round = 1; round <= rounds; round += 1) {
    for (const [name, command] of Object.entries(WAYS)) {
      context.progress.at(`round ${round} of ${rounds}, ${name}`);
      found.get(name)?.push(await restAfter(context, command, tally));
    }
  }
  const medians = [...found.values()].map((rests) => median(rests.map(({ mainMb }) => mainMb)));
  const apart = 100 * (Math.max(...medians) / Math.min(...medians) - 1);
  return {
    checks: [
      atMost('largest median above the smallest, %', rounded(apart), MOST_APART_PERCENT),
      exactly('failed requests', tally.failures.length, 0),
    ],
    facts: [...found].flatMap(([name, rests]) => [
      {
        fact: `${name}: main process`,
        value: spread(
          rests.map((of) => of.mainMb),
          ' MB',
        ),
      },
      {
        fact: `${name}: all processes`,
        value: spread(
          rests.map((of) => of.allMb),
          ' MB',
        ),
      },
    ]),
    details: {
      definition:
        'Private_Dirty + Private_Hugetlb + Swap of smaps_rollup, ' +
        `${REST_MS} ms after the cleanup of the last of the sessions`,
      sessions: context.quick ? SESSIONS.quick : SESSIONS.full,
      ways: Object.fromEntries(found),
    },
  };
}

async function restAfter(
  context: Context,
  command: readonly string[],
  tally: Tally,
): Promise<Rest> {
  const folder = await mkdtemp(path.join(tmpdir(), 'plimsoll-bench-start-'));
  try {
    const { modelsFolder, data } = await layOutModels(folder, [bundledModel]);
    const args = ['--port', '0', '--models', modelsFolder, '--data', data];
    const log = ['--set', 'log.format=json', '--set', 'cache.max_size=0'];
    const server = await startListening(
      context,
      [...command, ...args, ...log],
      path.join(folder, 'server.log'),
    );
    const { api } = server;
    const texts = new Texts(5);
    for (let count = context.quick ? SESSIONS.quick : SESSIONS.full; count > 0; count -= 1) {
      const session = await api.openSession();
      const inputs = texts.next(WORDS);
      tally.take(await api.classify({ model: bundledModel.id, session, user: 'one', inputs }));
      await api.endSession(session);
    }
    await pause(REST_MS);
    const { processes } = await api.memory();
    const held = await Promise.all(
      processes.map(async ({ role, pid }) => {
        const memory = await readProcessMemory(pid);
        if (memory === undefined) throw new Error(`process ${pid} (${role}) is gone`);
        return { role, mb: memory.privateBytes / MB };
      }),
    );
    await server.stop();
    return {
      mainMb: held.find(({ role }) => role === 'main')?.mb ?? Number.NaN,
      allMb: held.reduce((sum, { mb }) => sum + mb, 0),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
