import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  atLeast,
  type Benchmark,
  type Context,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { bundledModel } from '../harness/models.js';
import { ROOMY_SESSIONS, startServer } from '../harness/server.js';
import { median, rounded } from '../harness/spread.js';

const LEAST_RATIO = 0.97;
const KEYS = 1000;
const USERS = 8;
const SIZES = { full: { rounds: 15, roundMs: 4000 }, quick: { rounds: 3, roundMs: 1000 } };
const BODY = JSON.stringify({ model: bundledModel.id, inputs: 'Hello' });

export const keys: Benchmark = {
  name: 'keys',
  about: 'cached answers per second with 1,000 keys and limits, against a server without keys',
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { rounds, roundMs } = sizeOf(context, SIZES);
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-keys-'));
  context.defer(async () => rmSync(folder, { recursive: true, force: true }));
  const secrets = Array.from({ length: KEYS }, () => randomBytes(32).toString('base64url'));
  const file = path.join(folder, 'keys');
  const limits = 'requests-per-second=1000000 inputs-per-minute=100000000';
  const lines = secrets.map((secret, at) => `key-${at} classify ${secret} ${limits}`);
  writeFileSync(file, `${lines.join('\n')}\n`);
  const start = (settings: Readonly<Record<string, string>>) =>
    startServer(context, {
      models: [bundledModel],
      settings: { ...ROOMY_SESSIONS, ...settings },
    });
  const plain = await start({});
  const locked = await start({ 'keys.file': file });
  const rates = { plain: [] as number[], locked: [] as number[] };
  // In turn, so that whatever else the machine does meets both alike; the first round warms up.
  for (let round = -1; round < rounds; round += 1) {
    context.progress.at(`round ${round + 1} of ${rounds}`);
    const without = await perSecond(plain.url, roundMs, []);
    const withKeys = await perSecond(locked.url, roundMs, secrets);
    if (round < 0) continue;
    rates.plain.push(without);
    rates.locked.push(withKeys);
  }
  const ratios = rates.locked.map((rate, at) => rate / (rates.plain[at] ?? Number.NaN));
  const ratio = rounded(median(ratios), 3);
  return {
    headline: `${ratio} of the requests per second without keys`,
    checks: [atLeast('requests/s with 1,000 keys and limits ÷ without', ratio, LEAST_RATIO)],
    facts: [
      { fact: 'without keys', value: `${median(rates.plain).toFixed(0)}/s` },
      { fact: 'with 1,000 keys and limits', value: `${median(rates.locked).toFixed(0)}/s` },
    ],
    details: { ...rates },
  };
}

/** Answers in a second with so many callers at once, each request with the next key. */
async function perSecond(url: string, ms: number, secrets: readonly string[]): Promise<number> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: USERS });
  const begun = performance.now();
  let answers = 0;
  const loops = Array.from({ length: USERS }, async () => {
    while (performance.now() - begun < ms) {
      const secret = secrets[answers % Math.max(1, secrets.length)];
      const status = await post(url, agent, secret);
      if (status !== 200) throw new Error(`the server answered ${status}`);
      answers += 1;
    }
  });
  await Promise.all(loops);
  agent.destroy();
  return (1000 * answers) / (performance.now() - begun);
}

function post(url: string, agent: http.Agent, secret: string | undefined): Promise<number> {
  const headers = {
    'content-type': 'application/json',
    'content-length': BODY.length,
    // Of the same length without keys, so that both servers read as much.
    authorization: `Bearer ${secret ?? 'x'.repeat(43)}`,
  };
  return new Promise((resolve, reject) => {
    const request = http.request(`${url}/v1/classify`, { method: 'POST', agent, headers });
    request.on('error', reject);
    request.on('response', (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    request.end(BODY);
  });
}
