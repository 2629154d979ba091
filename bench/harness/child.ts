/** Small programs of the benchmarks that run in processes of their own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ALLOCATOR_ENVIRONMENT, LEAN_NODE_FLAGS } from '../../src/models/allocator.js';
import type { Context } from './benchmark.js';
import type { MemoryCgroup } from './cgroup.js';

export interface Child {
  readonly process: ChildProcess;
  /** Its next message. @throws Error if it ends before. */
  readonly next: () => Promise<unknown>;
  readonly tell: (message: unknown) => void;
  /** How it ended. */
  readonly ended: Promise<string>;
}

/**
 * Starts a program of `bench/` (such as `memory/plain-many`) that talks over Node's channel; it ends with the benchmark.
 *
 * @param place.asWorker with the flags and the allocator's settings of the server's workers.
 */
export function startChild(
  context: Pick<Context, 'defer'>,
  name: string,
  args: readonly string[],
  place: { readonly cgroup?: MemoryCgroup; readonly asWorker?: boolean } = {},
): Child {
  const program = fileURLToPath(new URL(`../${name}.js`, import.meta.url));
  const flags = place.asWorker === true ? LEAN_NODE_FLAGS : ['--expose-gc'];
  const command = [process.execPath, ...flags, program, ...args];
  const [first = '', ...rest] = place.cgroup?.command(command) ?? command;
  const child = spawn(first, rest, {
    env: { ...process.env, ...(place.asWorker === true ? ALLOCATOR_ENVIRONMENT : {}) },
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    detached: true,
  });
  const messages: unknown[] = [];
  const waiting: ((message: unknown) => void)[] = [];
  child.on('message', (message) => {
    const taker = waiting.shift();
    if (taker === undefined) messages.push(message);
    else taker(message);
  });
  const ended = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  context.defer(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await ended;
  });
  const next = () => {
    if (messages.length > 0) return Promise.resolve(messages.shift());
    return new Promise<unknown>((resolve, reject) => {
      waiting.push(resolve);
      void ended.then((how) => reject(new Error(`${name} ended (${how})`)));
    });
  };
  return { process: child, next, tell: (message) => void child.send?.(message as object), ended };
}
