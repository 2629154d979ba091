import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { OPEN_WORDS } from '../settings/areas/http.js';
import { PARENT_VARIABLE } from '../system/process/parent-death.js';
import type { CommonFlags } from './flags.js';

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));
const START_TIMEOUT_MS = 60_000;
const PREPARED_STEP_MS = 50;
const STOP_TIMEOUT_MS = 30_000;

/** Its proof is the only one who knows the port; the keys of the data folder are other callers'. */
const UNLOCKED = { PLIMSOLL_HTTP_OPEN: OPEN_WORDS };

export interface OwnServer {
  readonly url: string;
  readonly pid: number;
  readonly stop: () => Promise<void>;
}

/**
 * Starts a server for one proof on a free port of the loopback interface. It gets the settings that the proof needs,
 * and those of the command line, which win. Its log goes into `logFile`.
 *
 * @throws Error with the server's last words if it does not start.
 */
export async function startOwnServer(
  flags: CommonFlags,
  logFile: string,
  needed: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<OwnServer> {
  const args = [MAIN, 'serve', '--host', '127.0.0.1', '--port', '0'];
  if (flags.models !== undefined) args.push('--models', flags.models);
  if (flags.data !== undefined) args.push('--data', flags.data);
  if (flags.dtype !== undefined) args.push('--dtype', flags.dtype);
  const settings = ['log.format=json', 'log.level=info', ...needed];
  for (const setting of [...settings, ...flags.set]) args.push('--set', setting);
  // A process group of its own: Ctrl-C ends the proof, which then ends the server. A proof that is killed takes it along.
  const child = spawn(process.execPath, args, {
    detached: true,
    env: { ...process.env, ...UNLOCKED, [PARENT_VARIABLE]: String(process.pid), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log = createWriteStream(logFile);
  const lastWords: string[] = [];
  const exited = new Promise<void>((resolve) => child.on('exit', () => resolve()));
  child.stderr.on('data', (chunk: Buffer) => {
    lastWords.push(chunk.toString());
    log.write(chunk);
  });
  const url = await new Promise<string>((resolve, reject) => {
    const fail = (why: string) =>
      reject(new Error(`the server for the proof ${why}: ${lastWords.join('').trim() || logFile}`));
    const timer = setTimeout(() => fail('did not start in time'), START_TIMEOUT_MS);
    child.on('exit', () => fail('ended'));
    child.on('error', (error) => fail(error.message));
    createInterface({ input: child.stdout }).on('line', (line) => {
      log.write(`${line}\n`);
      const address = /"address":"(http:[^"]+)"/.exec(line)?.[1];
      if (address === undefined) return;
      clearTimeout(timer);
      resolve(address);
    });
  }).catch((error: unknown) => {
    child.kill('SIGKILL');
    throw error;
  });
  await preparedModels(url);
  const stop = async () => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
    log.end();
  };
  return { url, pid: child.pid ?? -1, stop };
}

/** Waits until the models are prepared, START_TIMEOUT_MS at most: no session is to be charged for that. */
async function preparedModels(url: string): Promise<void> {
  const until = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < until) {
    const reply = await fetch(`${url}/v1/models`);
    if (!(await reply.text()).includes('"state":"unprepared"')) return;
    await new Promise((resolve) => setTimeout(resolve, PREPARED_STEP_MS));
  }
}
