import { symlink } from 'node:fs/promises';
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
  sizeOf,
} from '../harness/benchmark.js';
import { isMeasured, measuredOr, type NotMeasured } from '../harness/checks.js';
import { bundledModel, type CachedModel, measuredModels, titleOf } from '../harness/models.js';
import { prepare } from '../harness/prepared-models.js';
import { temporaryFolder } from '../harness/program.js';
import { type ServerUnderTest, startListening } from '../harness/programs/listening.js';
import { installedPeer } from '../harness/programs/peer.js';
import { ROOMY_SESSIONS, startServer, UNCACHED } from '../harness/server.js';
import { latencies, median, rounded, spread, summary } from '../harness/spread.js';
import { closedUsers, measuredUsers, warmUp } from '../harness/users/closed-users.js';
import { mailSource, spreadMails } from '../harness/users/mails.js';

const LEAST_RATE_RATIO = 2;
/** The bundled model is so small that HTTP is a good part of its work. */
const LEAST_BUNDLED_RATE_RATIO = 1.4;
const MOST_MEMORY_RATIO = 0.5;
const MOST_MEMORY_RATIO_OF_LARGEST = 0.3;
/** The server's default takes the fastest form that was verified: scores may differ by as much (`verify.shift`). */
const MOST_DIFFERENCE = 0.05;
const USERS = 32;
const SIZES = { full: { rounds: 3, ms: 6000 }, quick: { rounds: 1, ms: 4000 } };

export const peerNode: Benchmark = {
  name: 'peer-node',
  about:
    'items/s and private memory, as parts of those of the usual way in Node: fastify around a transformers.js pipeline',
  run,
};

interface Side {
  readonly rates: number[];
  readonly latency: number[];
  /** Private bytes of all its processes after each round, in MB. */
  readonly privateMb: number[];
}

interface Compared {
  /** The form that the server took. */
  readonly form: string;
  readonly server: Side;
  readonly peer: Side;
}

async function run(context: Context): Promise<Outcome> {
  const folder = await installedPeer('transformers-js', context.progress);
  const headlines: string[] = [];
  const checks: Check[] = [];
  const facts: Fact[] = [];
  const details: Record<string, unknown> = { users: USERS };
  for (const fp32 of await measuredModels(context)) {
    const model = { ...fp32, dtype: 'auto' } as const;
    context.progress.at(`${model.id}: the fastest form that agrees with fp32`);
    await prepare([model], context.progress);
    const compared = await measuredOr(() => compare(context, folder, model));
    checks.push(...checksOf(model.id, compared));
    if (!isMeasured(compared)) continue;
    headlines.push(
      `${titleOf(model.id)} ${rateRatio(compared).toFixed(2)} and ${memoryRatio(compared).toFixed(2)}`,
    );
    facts.push({ fact: `${model.id}: form in use`, value: compared.form });
    facts.push(...factsOf(model.id, 'server', compared), ...factsOf(model.id, 'peer', compared));
    details[model.id] = {
      form: compared.form,
      server: detailsOf(compared.server),
      peer: detailsOf(compared.peer),
    };
  }
  return { headline: headlines.join(', '), checks, facts, details };
}

function rateRatio({ server, peer }: Compared): number {
  return median(server.rates) / median(peer.rates);
}

function memoryRatio({ server, peer }: Compared): number {
  return median(server.privateMb) / median(peer.privateMb);
}

function checksOf(id: string, compared: Compared | NotMeasured): readonly Check[] {
  const figure = (of: (compared: Compared) => number) =>
    isMeasured(compared) ? rounded(of(compared)) : compared;
  return [
    atLeast(
      `${id}: items/s ÷ the peer’s`,
      figure(rateRatio),
      id === bundledModel.id ? LEAST_BUNDLED_RATE_RATIO : LEAST_RATE_RATIO,
    ),
    atMost(
      `${id}: private memory ÷ the peer’s`,
      figure(memoryRatio),
      id.startsWith('bert-base') ? MOST_MEMORY_RATIO_OF_LARGEST : MOST_MEMORY_RATIO,
    ),
  ];
}

function factsOf(id: string, who: 'server' | 'peer', compared: Compared): readonly Fact[] {
  const { rates, latency, privateMb } = compared[who];
  return [
    { fact: `${id}: the ${who}`, value: spread(rates, ' items/s', 1) },
    { fact: `${id}: the ${who}, latency`, value: latencies(latency) },
    { fact: `${id}: the ${who}, private memory`, value: spread(privateMb, ' MB', 0) },
  ];
}

function detailsOf({ latency, ...side }: Side) {
  return { ...side, latency_ms: summary(latency) };
}

/** Both run all the time and are loaded in turn. */
async function compare(context: Context, folder: string, model: CachedModel): Promise<Compared> {
  const { rounds, ms } = sizeOf(context, SIZES);
  const { id } = model;
  const settings = { ...UNCACHED, ...ROOMY_SESSIONS };
  const server = await startServer(context, { models: [model], settings });
  const peer = await startPeer(context, folder, model);
  const sides = { server, peer };
  const { form } = await server.api.model(id);
  const compared = { form: form ?? 'fp32', server: emptySide(), peer: emptySide() };
  const nextText = mailSource(spreadMails());
  const options = { users: USERS, ms, modelOf: () => id, nextText };
  try {
    await sameAnswer(server, peer, id);
    await closedUsers(peer.api, { ...options, ms: ms / 2 });
    for (let round = 1; round <= rounds; round += 1) {
      for (const who of ['server', 'peer'] as const) {
        context.progress.at(`${id}: round ${round} of ${rounds}, the ${who}`);
        // While the peer is loaded the server unloads its model, which the peer keeps for ever.
        if (who === 'server') await warmUp(server.api, USERS, id, nextText);
        const got = await measuredUsers(sides[who].api, options);
        compared[who].rates.push(got.itemsPerSecond);
        compared[who].latency.push(...got.ms);
        const { processes } = await server.api.memory();
        const pids = who === 'server' ? processes.map(({ pid }) => pid) : [peer.pid];
        compared[who].privateMb.push(await privateMb(pids));
      }
    }
  } finally {
    await Promise.all([server.stop(), peer.stop()]);
  }
  return compared;
}

function emptySide(): Side {
  return { rates: [], latency: [], privateMb: [] };
}

/**
 * The text fits whole: where one is cut, the pipeline of transformers.js 4.3 drops the separator at its
 * end, which changes the score but not the number of tokens.
 *
 * @throws Error unless both give the same answer: otherwise they would not do the same work
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
  if (a?.label === b?.label && Math.abs((a?.score ?? 0) - (b?.score ?? 1)) <= MOST_DIFFERENCE)
    return;
  throw new Error(`the server says ${JSON.stringify(a)}, the peer ${JSON.stringify(b)}`);
}

async function startPeer(
  context: Context,
  folder: string,
  { id, directory }: CachedModel,
): Promise<ServerUnderTest> {
  const place = await temporaryFolder(context, 'peer');
  await symlink(directory, path.join(place, id));
  const command = [process.execPath, path.join(folder, 'server.mjs'), place, id];
  return startListening(context, command, path.join(place, 'peer.log'));
}

/** The same reading for both sides: private dirty pages of each process, from the kernel. */
async function privateMb(pids: readonly number[]): Promise<number> {
  const each = await Promise.all(pids.map((pid) => readProcessMemory(pid)));
  return each.reduce((sum, memory) => sum + (memory?.privateBytes ?? Number.NaN), 0) / 2 ** 20;
}
