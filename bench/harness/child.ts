/** Small programs of the benchmarks that run in processes of their own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Context } from './benchmark.js';
import type { MemoryCgroup } from './cgroup.js';

const NODE_FLAGS: readonly string[] = ['--expose-gc'];

export interface Child {
  readonly process: ChildProcess;
  /** Its next message. @throws Error if it ends before. */
  readonly next: () => Promise<unknown>;
  readonly tell: (message: unknown) => void;
  /** How it ended. */
  readonly ended: Promise<string>;
}

export interface ChildOptions {
  /** Where it lives. */
  readonly cgroup?: MemoryCgroup;
  readonly nodeFlags?: readonly string[];
  /** Variables that it gets beside ours. */
  readonly environment?: Readonly<Record<string, string>>;
  /** How messages are written; `json` if left out. */
  readonly serialization?: 'json' | 'advanced';
}

/** Starts a program of `bench/` (such as `memory/plain-many`) that talks over Node's channel; it ends with the benchmark. */
export function startChild(
  context: Pick<Context, 'defer'>,
  name: string,
  args: readonly string[],
  options: ChildOptions = {},
): Child {
  const { cgroup, nodeFlags = NODE_FLAGS, environment = {}, serialization = 'json' } = options;
  const program = fileURLToPath(new URL(`../${name}.js`, import.meta.url));
  const command = [process.execPath, ...nodeFlags, program, ...args];
  const [first = '', ...rest] = cgroup?.command(command) ?? command;
  const child = spawn(first, rest, {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    detached: true,
    serialization,
    env: { ...process.env, ...environment },
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
