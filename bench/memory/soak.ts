import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import type { ProofReport } from '../../src/proof/judge/report-schema.js';
import { type Benchmark, type Context, exactly, type Outcome } from '../harness/benchmark.js';
import { syntheticModels } from '../harness/models.js';
import { projectFolder, serverEnvironment, serverProgram } from '../harness/program.js';
import { layOutModels } from '../harness/server.js';

const DURATION = { full: '30m', quick: '20s' };
/** Few, so that half an hour on a busy machine still has enough sessions to follow a trend. */
const REQUESTS_PER_USER = 2;
const FOLDER = path.join(projectFolder, 'docs', 'proof');

/** The soak that the documents show. */
export const soak: Benchmark = {
  name: 'soak',
  about: 'half an hour of sessions on two bert-base models; writes docs/proof (not part of all)',
  apart: true,
  run,
};

async function run({ quick, progress, defer }: Context): Promise<Outcome> {
  const models = await syntheticModels('bert-base', 2, progress);
  const folder = await mkdtemp(path.join(tmpdir(), 'plimsoll-bench-soak-'));
  defer(() => rm(folder, { recursive: true, force: true }));
  const { modelsFolder, data } = await layOutModels(folder, models);
  const out = path.join(folder, 'proof');
  const args = [
    ...['prove', '--profile', 'soak', '--duration', quick ? DURATION.quick : DURATION.full],
    ...['--requests', String(REQUESTS_PER_USER), '--model', models.map(({ id }) => id).join(',')],
    ...['--models', modelsFolder, '--data', data, '--out', out],
  ];
  const child = spawn(process.execPath, [serverProgram, ...args], {
    env: serverEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const session = /^Session .*$/m.exec(text)?.[0];
    if (session !== undefined) progress.at(session);
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', resolve);
  });
  // It ends its server before it ends itself, and writes what was played.
  defer(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  const exitCode = await ended;
  const text = await readFile(path.join(out, 'report.json'));
  if (!quick) await publish(out, text);
  return judge(exitCode, JSON.parse(text.toString('utf8')));
}

async function publish(out: string, json: Buffer): Promise<void> {
  await mkdir(FOLDER, { recursive: true });
  await writeFile(path.join(FOLDER, 'report.json.gz'), gzipSync(json, { level: 9 }));
  await writeFile(path.join(FOLDER, 'report.html'), await readFile(path.join(out, 'report.html')));
}

function judge(exitCode: number | null, { criteria, figures }: ProofReport): Outcome {
  const notHeld = criteria.filter(({ held }) => held === false);
  const leak = criteria.find(({ id }) => id === 'leak');
  return {
    checks: [
      exactly('exit code of the proof', exitCode ?? Number.NaN, 0),
      exactly('criteria that did not hold', notHeld.length, 0),
      exactly('failed requests', figures.load.requests_failed, 0),
    ],
    facts: [
      { fact: 'sessions', value: String(figures.load.sessions_played) },
      { fact: 'leak', value: leak?.value ?? 'not judged' },
      ...notHeld.map(({ claim, value }) => ({ fact: claim, value })),
    ],
    details: { criteria },
  };
}
