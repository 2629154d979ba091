import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { CommonFlags } from './flags.js';

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));
/**
 * Node's flags for the main process, as `npm start` and the first line of main.ts give them: V8's young
 * generation would otherwise grow to three times 16 MB and stay there (measured: 17 MB less at rest). Its largest size
 * makes no difference to the CPU time of a known answer between 2 and 8 MB to a side (`cached`, in turns).
 * Baseline machine code is left out: it took 2 MB more and grew on for thousands of sessions. Full collections compact:
 * pages that garbage had been spread over stayed half empty otherwise (8 MB less at rest after 1,000 sessions,
 * where V8 leaves it alone for 1.7 KB a session of growth; a collection takes 17 ms instead of 11). The young generation
 * is collected by its own thread: it is so small that waking others for it costs more than they do (of the CPU time of
 * a known answer 7 %), and the other cores are the workers'.
 */
export const SERVER_NODE_FLAGS: readonly string[] = [
  '--max-semi-space-size=2',
  '--no-sparkplug',
  '--compact-on-every-full-gc',
  '--no-parallel-scavenge',
];
/**
 * What `npm start` and the first line of main.ts put into the environment of the main process. glibc otherwise gives
 * its threads allocation areas of their own, and each keeps what was freed there: 10 MB more at rest, and growing.
 * It also raises its thresholds with the largest block that is freed (mallopt(3)), up to where some MB of free memory stay
 * at the end of the heap: fixed ones leave 2 MB less there after 100 sessions. The threshold for maps lies above the 64 KB
 * that Node takes for each read from a socket. Workers have settings of their own, see `ALLOCATOR_ENVIRONMENT`.
 */
export const SERVER_ENVIRONMENT: Readonly<Record<string, string>> = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '131072',
  MALLOC_TRIM_THRESHOLD_: '65536',
};
const START_TIMEOUT_MS = 60_000;
const PREPARED_STEP_MS = 50;
const STOP_TIMEOUT_MS = 30_000;

export interface OwnServer {
  readonly url: string;
  readonly pid: number;
  readonly stop: () => Promise<void>;
}

/**
 * Starts a server for one proof, on a free port of the loopback interface, with the settings that
 * the proof needs, and over them those that the command was given. What it logs goes into `logFile`.
 *
 * @throws Error with the server's last words if it does not come up.
 */
export async function startOwnServer(
  flags: CommonFlags,
  logFile: string,
  needed: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<OwnServer> {
  const args = [...SERVER_NODE_FLAGS, MAIN, 'serve', '--host', '127.0.0.1', '--port', '0'];
  if (flags.models !== undefined) args.push('--models', flags.models);
  if (flags.data !== undefined) args.push('--data', flags.data);
  if (flags.dtype !== undefined) args.push('--dtype', flags.dtype);
  const settings = ['log.format=json', 'log.level=info', ...needed];
  for (const setting of [...settings, ...flags.set]) args.push('--set', setting);
  // Its own process group: Ctrl-C ends the proof, which then ends the server.
  const child = spawn(process.execPath, args, {
    detached: true,
    env: { ...process.env, ...SERVER_ENVIRONMENT, ...environment },
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

/** Waits, within the start's time, until the models are prepared: that is done once, not in a session. */
async function preparedModels(url: string): Promise<void> {
  const until = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < until) {
    const reply = await fetch(`${url}/v1/models`);
    if (!(await reply.text()).includes('"state":"unprepared"')) return;
    await new Promise((resolve) => setTimeout(resolve, PREPARED_STEP_MS));
  }
}
