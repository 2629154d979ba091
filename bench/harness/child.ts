/** Small programs of the benchmarks, each in its own process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Deferring } from './benchmark.js';
import type { MemoryCgroup } from './machine/cgroup.js';

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
  /** Variables that it gets in addition to ours. */
  readonly environment?: Readonly<Record<string, string>>;
  /** How messages are encoded; `json` if left out. */
  readonly serialization?: 'json' | 'advanced';
}

/** Starts a program of `bench/` (such as `memory/plain-many-main`) that talks over Node's channel; it ends with the benchmark. */
export function startChild(
  context: Deferring,
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

/** Runs a program that sends one message and ends. @returns that message */
export async function runChild<T>(
  context: Deferring,
  name: string,
  args: readonly string[],
  options: ChildOptions = {},
): Promise<T> {
  const child = startChild(context, name, args, options);
  const message = await child.next();
  await child.ended;
  return message as T;
}
