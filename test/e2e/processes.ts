import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Server as Listener } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The program as it is built: the tests run what users run. */
export const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A finished run of the command line. */
export interface Run extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

/** The environment without the settings of whoever runs the tests. */
export function cleanEnvironment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('PLIMSOLL_'));
  return { ...Object.fromEntries(kept), ...extra };
}

/** Starts the program; its output is collected in the buffers. */
export function launch(
  args: readonly string[],
  options: {
    readonly cwd?: string;
    readonly environment?: Readonly<Record<string, string>>;
    /** Another program than the one that is built, which composes a server from its parts. */
    readonly program?: string | undefined;
    /** Listening sockets that it inherits, as systemd hands them on; here they are closed. */
    readonly sockets?: readonly Listener[] | undefined;
  } = {},
): ChildProcess {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: run \`npm run build\` first`);
  const { sockets = [] } = options;
  const program = [process.execPath, options.program ?? MAIN, ...args];
  // The shell becomes the program: only then the process id is known.
  const activated = ['/bin/sh', '-c', 'LISTEN_PID=$$ exec "$@"', 'sh', ...program];
  const [command = '', ...rest] = sockets.length > 0 ? activated : program;
  const listening = sockets.length > 0 ? { LISTEN_FDS: String(sockets.length) } : {};
  const child = spawn(command, rest, {
    cwd: options.cwd ?? tmpdir(),
    env: cleanEnvironment({ ...options.environment, ...listening }),
    stdio: ['ignore', 'pipe', 'pipe', ...sockets.map(descriptorOf)],
  });
  for (const socket of sockets) socket.close();
  return child;
}

function descriptorOf(socket: Listener): number {
  const handle: unknown = Reflect.get(socket, '_handle');
  return typeof handle === 'object' && handle !== null ? Number(Reflect.get(handle, 'fd')) : -1;
}

/** Settles when the process has ended and its output has been read to the end. */
export function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
}

/** Runs one command to its end; it is killed, and the test fails, when it takes too long. */
export async function run(
  args: readonly string[],
  options: {
    readonly cwd?: string;
    readonly environment?: Readonly<Record<string, string>>;
    readonly withinMs?: number;
  } = {},
): Promise<Run> {
  const child = launch(args, options);
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), options.withinMs ?? 60_000);
  const exit = await exitOf(child);
  clearTimeout(timer);
  return { ...exit, stdout, stderr };
}

/** Whether the process runs; one that has ended and waits to be reaped does not. */
export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The state stands behind the name, which may itself hold parentheses (proc(5)).
    const state = stat.slice(stat.lastIndexOf(')') + 2).charAt(0);
    return state !== 'Z' && state !== 'X';
  } catch {
    return false;
  }
}

/** Children of a process, by the kernel's books. */
export function childrenOf(pid: number): readonly number[] {
  try {
    const list = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return list
      .split(' ')
      .filter((word) => word !== '')
      .map(Number);
  } catch {
    return [];
  }
}

/** What a process was started with; nothing once it has ended. */
export function argumentsOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

const folders = new Set<string>();

/** A fresh folder; {@link removeFolders} takes all of them away. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'plimsoll-e2e-'));
  folders.add(folder);
  return folder;
}

export async function removeFolders(): Promise<void> {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
  folders.clear();
}

/** Looks again and again until the condition gives something; fails with its name when it never does. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  withinMs = 30_000,
): Promise<NonNullable<T>> {
  const end = performance.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== null && found !== false) return found;
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
