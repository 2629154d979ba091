// The main job once, against the built server under one Node: node scripts/smoke.mjs [path of another node]
// A session of eight users, its end with a cleanup receipt, and the end of the server on SIGTERM.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const LIMIT_MS = 120_000;
/** Mails that the model has never seen, with their labels; it gets some 98 of 100 right. */
const MAILS = new URL('../models/spam/held-out/mails.jsonl.gz', import.meta.url);
const USERS = 8;
const MAILS_EACH = 5;
const LEAST_RIGHT = 0.9;

function check(what, isTrue, found) {
  if (!isTrue) throw new Error(`${what}; found ${JSON.stringify(found)}`);
}

async function call(url, method, address, body) {
  const reply = await fetch(url + address, {
    method,
    signal: AbortSignal.timeout(LIMIT_MS),
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  const answer = await reply.json();
  check(`${method} ${address} succeeds`, reply.ok, answer);
  return answer;
}

async function mainJob(url) {
  const all = gunzipSync(readFileSync(MAILS)).toString('utf8').trim().split('\n');
  // They lie by their kind: taken at even distances, some are spam and some are not.
  const step = Math.floor(all.length / (USERS * MAILS_EACH));
  const mails = Array.from({ length: USERS * MAILS_EACH }, (_, index) => all[index * step]);
  const { id: session } = await call(url, 'POST', '/v1/sessions', {});
  let right = 0;
  const play = async (user) => {
    for (const mail of mails.slice(user * MAILS_EACH, (user + 1) * MAILS_EACH)) {
      const { text, label } = JSON.parse(mail);
      const body = { inputs: text, session, user: `user-${user}` };
      const { results } = await call(url, 'POST', '/v1/classify', body);
      if (results[0][0].label === label) right += 1;
    }
  };
  await Promise.all(Array.from({ length: USERS }, (_, user) => play(user)));
  check('the answers are right', right >= LEAST_RIGHT * mails.length, right);
  const ended = await call(url, 'POST', `/v1/sessions/${session}/end`);
  check('all users were served', ended.users === USERS && ended.failures === 0, ended);
  const actions = ended.cleanup?.actions?.map(({ action }) => action) ?? [];
  check('the cleanup unloaded the model', actions.includes('unload_model'), ended.cleanup);
}

/** @throws Error that says what did not hold, with the server's last words. */
export async function smoke(node = process.execPath) {
  const data = mkdtempSync(path.join(tmpdir(), 'plimsoll-smoke-'));
  const args = ['serve', '--port', '0', '--data', data, '--set', 'log.format=json'];
  // npm's variables would make the server follow this run's npm.
  const kept = Object.entries(process.env).filter(([name]) => !/^(npm_|PLIMSOLL_)/.test(name));
  const child = spawn(node, [MAIN, ...args], {
    env: Object.fromEntries(kept),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  let printed = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    printed += text;
  });
  const ended = new Promise((resolve) => {
    child.on('error', (error) => resolve({ code: error.message }));
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
  try {
    const url = await new Promise((resolve, reject) => {
      void ended.then(({ code, signal }) => reject(new Error(`it ended (${signal ?? code})`)));
      createInterface({ input: child.stdout }).on('line', (line) => {
        printed += `${line}\n`;
        const address = /"address":"(http:[^"]+)"/.exec(line)?.[1];
        if (address !== undefined) resolve(address);
      });
    });
    await mainJob(url);
    child.kill('SIGTERM');
    const end = await ended;
    check('it exits 0 on SIGTERM', end.code === 0, end);
    check('it says that it has stopped', printed.includes('"msg":"stopped"'), '');
    const warning = /^\(node:\d+\) .*Warning.*$/m.exec(printed)?.[0];
    check('Node warns of nothing', warning === undefined, warning);
  } catch (error) {
    throw new Error(`${error.message}\n${printed.slice(-3000)}`);
  } finally {
    clearTimeout(timer);
    child.kill('SIGKILL');
    await ended;
    rmSync(data, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await smoke(process.argv[2]);
  process.stdout.write('the main job works\n');
}
