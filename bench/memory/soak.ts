import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import {
  type Benchmark,
  type Context,
  exactly,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { syntheticModels } from '../harness/models.js';
import { projectFolder, temporaryFolder } from '../harness/program.js';
import { type Proof, prove } from '../harness/programs/prove.js';
import { layOutModels } from '../harness/server.js';

const DURATION = { full: '30m', quick: '20s' };
/** Few, so that half an hour has enough sessions for a trend on a busy machine too. */
const REQUESTS_PER_USER = 2;
const DOCUMENTS = path.join(projectFolder, 'docs', 'proof');

export const soak: Benchmark = {
  name: 'soak',
  about: 'the proof over half an hour of sessions on two bert-base models; writes docs/proof',
  notInAll: true,
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { quick, progress } = context;
  const models = await syntheticModels('bert-base', 2, progress);
  const folder = await temporaryFolder(context, 'soak');
  const { modelsFolder, data } = await layOutModels(folder, models);
  const out = path.join(folder, 'proof');
  const flags = [
    ...['--profile', 'soak', '--duration', sizeOf(context, DURATION)],
    ...['--requests', String(REQUESTS_PER_USER), '--model', models.map(({ id }) => id).join(',')],
    ...['--models', modelsFolder, '--data', data],
  ];
  const proof = await prove(context, out, flags, (line) => {
    if (line.startsWith('Session ')) progress.at(line);
  });
  if (!quick) await publish(out, proof.json);
  return outcomeOf(proof);
}

async function publish(out: string, json: Buffer): Promise<void> {
  await mkdir(DOCUMENTS, { recursive: true });
  await writeFile(path.join(DOCUMENTS, 'report.json.gz'), gzipSync(json, { level: 9 }));
  const page = await readFile(path.join(out, 'report.html'));
  await writeFile(path.join(DOCUMENTS, 'report.html'), page);
}

function outcomeOf({ exitCode, report: { criteria, figures } }: Proof): Outcome {
  const notHeld = criteria.filter(({ held }) => held === false);
  const leak = criteria.find(({ id }) => id === 'leak');
  const { sessions_played: sessions, requests_failed: failed, requests_sent: sent } = figures.load;
  return {
    headline: `${sessions} sessions, ${failed} of ${sent.toLocaleString('en-US')} requests failed; leak: ${leak?.value ?? 'not judged'}`,
    checks: [
      exactly('exit code of the proof', exitCode ?? Number.NaN, 0),
      exactly('criteria that did not hold', notHeld.length, 0),
      exactly('failed requests', failed, 0),
    ],
    facts: [
      { fact: 'sessions', value: String(sessions) },
      { fact: 'leak', value: leak?.value ?? 'not judged' },
      ...notHeld.map(({ claim, value }) => ({ fact: claim, value })),
    ],
    details: { criteria },
  };
}
