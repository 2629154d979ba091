/** What ends our processes when the process that started them has ended, however it ended. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { cFunction } from './libc.js';

/** Names the parent to a process that has to end with it: its process id. */
export const PARENT_VARIABLE = 'PLIMSOLL_PARENT_PID';

/** `PR_SET_PDEATHSIG` of prctl(2). */
const SET_DEATH_SIGNAL = 1;
const SIGKILL = 9;
const SIGTERM = 15;
const LOOK_EVERY_MS = 500;

/**
 * Has the kernel send this process a signal when its parent ends. It reaches a process that is busy in native code too.
 *
 * @returns whether the kernel took it: Linux alone has such a signal
 */
function armDeathSignal(signal: number): boolean {
  const prctl = cFunction(
    'int prctl(int option, unsigned long signal, unsigned long, unsigned long, unsigned long)',
  );
  return prctl !== undefined && prctl(SET_DEATH_SIGNAL, signal, 0, 0, 0) === 0;
}

/**
 * For a worker or a preparer: the kernel kills it when its parent ends, whatever it is doing. Where the kernel has no such
 * signal, the closed channel ends it as soon as it returns to the event loop.
 */
export function dieWithParent(): void {
  process.on('disconnect', () => process.exit(0));
  const isArmed = armDeathSignal(SIGKILL);
  // A parent that ended before the signal was armed sends none.
  const parent = process.env[PARENT_VARIABLE];
  if (isArmed && parent !== undefined && process.ppid !== Number(parent)) process.exit(0);
}

/** How this process was started. Package managers put the script that they run into the environment. */
export interface StarterFacts {
  /** The variables of this process. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly parentPid: number;
  /** Path of the program as it was called: dist/main.js, or a link to it called plimsoll. */
  readonly program: string;
}

/**
 * Whether the server belongs to the process that started it, so that it ends with it:
 *
 * 1. the parent names itself (`plimsoll prove` does): yes.
 * 2. npm, or a program like it, runs no script that names this program: no. It may be detached, or another program that
 *    npm runs has started it.
 * 3. npm's script puts it into the background: no, it is meant to stay when the script ends.
 * 4. otherwise yes: npm passes signals on only as far as its shell, and not all of them.
 */
export function belongsToStarter({ environment, parentPid, program }: StarterFacts): boolean {
  if (environment[PARENT_VARIABLE] === String(parentPid)) return true;
  const script = environment.npm_lifecycle_script ?? '';
  if (!script.includes(path.basename(program))) return false;
  return !/(^|[^&>])&(?![&>])|\b(nohup|setsid)\b/.test(script);
}

/**
 * Sends this process a SIGTERM when the process that started it ends, if it belongs to it. Behind npm stands a shell: when npm
 * is killed that shell lives on, so the parent of the shell is watched too.
 *
 * @returns ends the watch
 */
export function endWithStarter(root = '/'): () => void {
  const { ppid: parentPid, env: environment } = process;
  const belongs = belongsToStarter({ environment, parentPid, program: process.argv[1] ?? '' });
  // It holds for this process, not for what this process starts.
  delete process.env[PARENT_VARIABLE];
  if (!belongs) return () => undefined;
  armDeathSignal(SIGTERM);
  const starter = grandparentBehindShell(parentPid, root);
  const timer = setInterval(() => {
    const isThere =
      process.ppid === parentPid &&
      (starter === undefined || parentOf(parentPid, root)?.pid === starter);
    if (isThere) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, LOOK_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** The process above the shell that is our parent; undefined if our parent is no shell, or there is no /proc. */
function grandparentBehindShell(parentPid: number, root: string): number | undefined {
  const parent = parentOf(parentPid, root);
  return parent !== undefined && /^(ba|da|a|z|k)?sh$|^busybox$/.test(parent.name)
    ? parent.pid
    : undefined;
}

/** The name of process `pid` and the id of its parent, from /proc/PID/stat (proc(5)). */
function parentOf(pid: number, root: string): { name: string; pid: number } | undefined {
  try {
    const stat = readFileSync(`${root}proc/${pid}/stat`, 'utf8');
    const [, name = '', parent = ''] = /^\d+ \((.*)\) \S (\d+) /s.exec(stat) ?? [];
    return parent === '' ? undefined : { name, pid: Number(parent) };
  } catch {
    return undefined;
  }
}
