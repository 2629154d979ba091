/** A program that serves HTTP, in its own process: started, found by the address that it prints, ended. */
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Api } from '../api.js';
import type { Deferring } from '../benchmark.js';
import { serverEnvironment } from '../program.js';

const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 60_000;

export interface ServerUnderTest {
  readonly api: Api;
  readonly url: string;
  readonly pid: number;
  /** Set when its process has ended. */
  readonly ended: () => string | undefined;
  readonly stop: () => Promise<void>;
  /** While it is held nobody reads what it prints. */
  readonly holdLog: (isHeld: boolean) => void;
}

/**
 * Starts a program and waits for a line with `"address":"http:…"` on its stdout; it ends with the
 * benchmark at the latest.
 *
 * @param logFile gets what it prints.
 * @param environment variables that it gets in addition to ours.
 * @throws Error with its last words if it does not start
 */
export async function startListening(
  context: Deferring,
  command: readonly string[],
  logFile: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<ServerUnderTest> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    env: { ...serverEnvironment(), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    // Ctrl-C reaches the benchmark alone, which then ends the server.
    detached: true,
  });
  let end: string | undefined;
  const exited = new Promise<void>((resolve) => {
    child.on('error', () => resolve());
    child.on('exit', (code, signal) => {
      end = signal ?? `exit code ${code}`;
      resolve();
    });
  });
  const log = createWriteStream(logFile);
  child.stderr.pipe(log, { end: false });
  let stopping: Promise<void> | undefined;
  let api: Api | undefined;
  const stop = () => {
    stopping ??= (async () => {
      api?.close();
      if (end === undefined) child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await exited;
      clearTimeout(timer);
      log.end();
    })();
    return stopping;
  };
  context.defer(stop);
  const lines = createInterface({ input: child.stdout });
  const url = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('it did not start')), START_TIMEOUT_MS);
    void exited.then(() => reject(new Error(`it ended (${end ?? 'unknown'})`)));
    lines.on('line', (line) => {
      log.write(`${line}\n`);
      const address = /"address":"(http:[^"]+)"/.exec(line)?.[1];
      if (address === undefined) return;
      clearTimeout(timer);
      resolve(address);
    });
  }).catch(async (error: unknown) => {
    await stop();
    const words = await readFile(logFile, 'utf8').catch(() => '');
    throw new Error(`the server under test: ${String(error)}\n${words.slice(-2000)}`);
  });
  api = new Api(url);
  const holdLog = (isHeld: boolean) => void (isHeld ? lines.pause() : lines.resume());
  return { api, url, pid: child.pid ?? 0, ended: () => end, stop, holdLog };
}
