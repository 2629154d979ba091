import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readProcessMemory } from '../../src/system/process-memory.js';
import { topLabels } from '../harness/api.js';
import {
  atLeast,
  atMost,
  type Benchmark,
  type Check,
  type Context,
  type Fact,
  type Outcome,
} from '../harness/benchmark.js';
import { type ServerUnderTest, startListening } from '../harness/listening.js';
import type { CachedModel } from '../harness/models.js';
import { installedPeer } from '../harness/peer.js';
import { startServer } from '../harness/server.js';
import { latencies, median, rounded, spread } from '../harness/spread.js';
import { closedUsers, warmUp } from './closed-users.js';
import { mailSource, spreadMails } from './mails.js';
import { measuredModels } from './measured-models.js';

const LEAST_RATE_RATIO = 2;
const MOST_MEMORY_RATIO = 0.5;
const USERS = 32;
const FULL = { rounds: 3, ms: 6000 };
const QUICK = { rounds: 1, ms: 4000 };

/** Against the usual way in Node.js: fastify around a pipeline of transformers.js, in one process. */
export const peerNode: Benchmark = {
  name: 'peer-node',
  about:
    'items/s of 32 users and private memory, against fastify around a transformers.js pipeline',
  run,
};

interface Side {
  readonly rates: number[];
  readonly latency: number[];
  /** Private bytes of all its processes after each round, in MB. */
  readonly privateMb: number[];
}

async function run(context: Context): Promise<Outcome> {
  const folder = await installedPeer('transformers-js', context.progress);
  const checks: Check[] = [];
  const facts: Fact[] = [];
  const details: Record<string, unknown> = { users: USERS };
  for (const model of await measuredModels(context)) {
    const sides = await compare(context, folder, model);
    const { id } = model;
    const [ours, peer] = sides;
    const rate = rounded(median(ours.rates) / median(peer.rates));
    checks.push(atLeast(`${id}: items/s ÷ the peer’s`, rate, LEAST_RATE_RATIO));
    const memory = rounded(median(ours.privateMb) / median(peer.privateMb));
    checks.push(atMost(`${id}: private memory ÷ the peer’s`, memory, MOST_MEMORY_RATIO));
    for (const [at, who] of ['the server', 'the peer'].entries()) {
      const side = sides[at] ?? peer;
      facts.push(
        { fact: `${id}: ${who}`, value: spread(side.rates, ' items/s', 1) },
        { fact: `${id}: ${who}, latency`, value: latencies(side.latency) },
        { fact: `${id}: ${who}, private memory`, value: spread(side.privateMb, ' MB', 0) },
      );
    }
    details[id] = { server: ours, peer };
  }
  return { checks, facts, details };
}

/** Both run all the while; they are asked in turn. */
async function compare(
  context: Context,
  folder: string,
  model: CachedModel,
): Promise<readonly [Side, Side]> {
  const { rounds, ms } = context.quick ? QUICK : FULL;
  const { id } = model;
  const settings = { 'cache.max_size': 0, 'session.max_users': 1000 };
  const server = await startServer(context, { models: [model], settings });
  const peer = await startPeer(context, folder, model);
  const sides = [server, peer].map((of) => ({
    of,
    rates: [] as number[],
    latency: [] as number[],
    privateMb: [] as number[],
  }));
  const nextText = mailSource(spreadMails());
  try {
    await sameAnswer(server, peer, id);
    await closedUsers(peer.api, USERS, ms / 2, () => id, nextText);
    for (let round = 1; round <= rounds; round += 1) {
      for (const side of sides) {
        const who = side.of === server ? 'the server' : 'the peer';
        context.progress.at(`${id}: round ${round} of ${rounds}, ${who}`);
        // While the peer is asked, the server unloads the model: the peer holds it for ever.
        if (side.of === server) await warmUp(server.api, USERS, id, nextText);
        const got = await closedUsers(side.of.api, USERS, ms, () => id, nextText);
        const [failure] = got.tally.failures;
        if (failure !== undefined) throw new Error(`${who}: ${failure}`);
        side.rates.push(got.itemsPerSecond);
        side.latency.push(...got.ms);
        const { processes } = await server.api.memory();
        const pids = side.of === server ? processes.map(({ pid }) => pid) : [peer.pid];
        side.privateMb.push(await privateMb(pids));
      }
    }
  } finally {
    await Promise.all([server.stop(), peer.stop()]);
  }
  const [ours, theirs] = sides.map(({ of: _, ...side }) => side);
  if (ours === undefined || theirs === undefined) throw new Error('a side is missing');
  return [ours, theirs];
}

/**
 * With a text that fits whole: where one is cut, the pipeline of transformers.js 4.3 drops the
 * separator at its end, which changes the score but not the number of tokens.
 *
 * @throws Error unless both say the same of it: else they would not do the same work
 */
async function sameAnswer(
  server: ServerUnderTest,
  peer: ServerUnderTest,
  model: string,
): Promise<void> {
  const inputs = 'Subject: Your invoice\n\nPlease find it attached; it is due on Friday.';
  const [ours, theirs] = await Promise.all(
    [server, peer].map(async ({ api }) => topLabels(await api.classify({ model, inputs }))),
  );
  const [a, b] = [ours?.[0], theirs?.[0]];
  if (a?.label === b?.label && Math.abs((a?.score ?? 0) - (b?.score ?? 1)) < 1e-3) return;
  throw new Error(`the server says ${JSON.stringify(a)}, the peer ${JSON.stringify(b)}`);
}

async function startPeer(
  context: Context,
  folder: string,
  { id, directory }: CachedModel,
): Promise<ServerUnderTest> {
  const place = await mkdtemp(path.join(tmpdir(), 'plimsoll-bench-peer-'));
  context.defer(() => rm(place, { recursive: true, force: true }));
  await symlink(directory, path.join(place, id));
  const command = [process.execPath, path.join(folder, 'server.mjs'), place, id];
  return startListening(context, command, path.join(place, 'peer.log'));
}

/** The same measure for both sides: dirty private pages of each process, from the kernel. */
async function privateMb(pids: readonly number[]): Promise<number> {
  const each = await Promise.all(pids.map((pid) => readProcessMemory(pid)));
  return each.reduce((sum, memory) => sum + (memory?.privateBytes ?? Number.NaN), 0) / 2 ** 20;
}
