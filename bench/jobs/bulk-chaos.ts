import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import {
  atLeast,
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { bundledModel } from '../harness/models.js';
import { temporaryFolder } from '../harness/program.js';
import { distinctMails, realMails } from '../harness/users/mails.js';
import { ChaosFleet, DISTURBANCES, type Disturbance } from './disturbances.js';
import { JobClient, writeRows } from './job-runs.js';

const SHARD_ROWS = 100;
const SIZES = {
  full: { rows: 200_000, kinds: DISTURBANCES.length },
  quick: { rows: 8000, kinds: 1 },
};

export const bulkChaos: Benchmark = {
  name: 'bulk-chaos',
  about:
    'rows that are missing or double in a job of 3 servers while every 5 s one of them, Redis or PostgreSQL is killed or cut off for a while',
  notInAll: true,
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { rows, kinds } = sizeOf(context, SIZES);
  const folder = await temporaryFolder(context, 'bulk-chaos');
  const input = path.join(folder, 'in', 'mails.jsonl');
  const output = path.join(folder, 'out');
  const mails = [...realMails()].sort((a, b) => a.length - b.length).slice(0, 100);
  await writeRows(input, 'jsonl', rows, distinctMails(mails));
  const fleet = await ChaosFleet.start(context, folder);
  const first = fleet.last;
  if (first === undefined) throw new Error('there is no server');
  const request = { input, output, model: bundledModel.id, id: 'id', shard_rows: SHARD_ROWS };
  const { id } = await new JobClient(first).submit(request);
  const times = new Map<Disturbance, number>();
  let isOver = false;
  const chaos = fleet.disturb(
    (what) => times.set(what, (times.get(what) ?? 0) + 1),
    () => isOver,
  );
  const state = await followed(context, fleet, id);
  isOver = true;
  await chaos;
  const found = await judge(output, rows);
  await fleet.stop();
  const count = (way: string) =>
    [...times].reduce((sum, [what, of]) => sum + (what.endsWith(way) ? of : 0), 0);
  return {
    headline: `${found.missing} missing, ${found.double} double of ${rows} rows; ${count('killed')} times killed, ${count('cut off')} times cut off`,
    checks: [
      exactly('job is done', state === 'done' ? 1 : 0, 1),
      exactly('rows that are missing', found.missing, 0),
      exactly('rows that are double', found.double, 0),
      exactly('parts that are not as the manifest says', found.wrongParts, 0),
      exactly('files that the manifest does not name', found.strangers, 0),
      atLeast('kinds of disturbance that it went through', times.size, kinds),
    ],
    facts: DISTURBANCES.map((what) => ({
      fact: what,
      value: `${times.get(what) ?? 0} times`,
    })),
    details: { rows, times: Object.fromEntries(times), ...found },
  };
}

/** @returns the state in which the job ended */
async function followed(context: Context, fleet: ChaosFleet, id: string): Promise<string> {
  for (;;) {
    const server = fleet.last;
    try {
      const job = server && (await new JobClient(server).show(id));
      if (job !== undefined && job.ended_at !== null) return job.state;
      context.progress.at(`${job?.shards.done ?? 0} of ${job?.shards.known ?? 0} shards`);
    } catch {
      // Whoever is asked may have been killed, or what it asks.
    }
    await pause(500);
  }
}

async function judge(output: string, rows: number) {
  const names = await readdir(output);
  const [manifestName = ''] = names.filter((name) => name.startsWith('manifest-'));
  const { parts } = JSON.parse(await readFile(path.join(output, manifestName), 'utf8')) as {
    readonly parts: readonly {
      readonly part: string;
      readonly rows: number;
      readonly sha256: string;
    }[];
  };
  const seen = new Uint8Array(rows);
  let wrongParts = 0;
  for (const { part, sha256, rows: count } of parts.filter((of) => of.part !== null)) {
    const content = await readFile(path.join(output, part));
    const lines = content.toString().trim().split('\n');
    const hash = createHash('sha256').update(content).digest('hex');
    if (hash !== sha256 || lines.length !== count) wrongParts += 1;
    for (const line of lines) {
      const { id } = JSON.parse(line) as { readonly id: number };
      seen[id] = (seen[id] ?? 0) + 1;
    }
  }
  return {
    missing: seen.filter((times) => times === 0).length,
    double: seen.filter((times) => times > 1).length,
    wrongParts,
    strangers: names.length - parts.length - 1,
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
