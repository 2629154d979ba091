import { inheritedDescriptors } from './inherited-sockets.js';
import { cFunction } from './libc.js';

/** Set for the restarted program, to its process id: should what it was to get not arrive, it does not try again. */
const MARK = 'PLIMSOLL_RESTARTED';
/** `F_SETFD` of fcntl(2). */
const SET_DESCRIPTOR_FLAGS = 2;
const STANDARD_STREAMS = [0, 1, 2];

/**
 * Replaces this program by itself, in the same process, with more variables in its environment (execve(2)). Takes about 40 ms, once:
 * call it before anything is loaded or opened.
 *
 * Does nothing, and returns, where the variables are set, where the program has been restarted already, where it talks to its parent over Node's channel (which
 * would be cut), and where the system refuses.
 */
export function restartWith(variables: Readonly<Record<string, string>>): void {
  const isRestarted = process.env[MARK] === String(process.pid);
  delete process.env[MARK];
  const isNeeded = Object.keys(variables).some((name) => process.env[name] === undefined);
  if (!isNeeded || isRestarted || process.channel !== undefined) return;
  const execve = cFunction('int execve(const char *path, const char **argv, const char **envp)');
  const fcntl = cFunction('int fcntl(int descriptor, int command, int flags)');
  if (execve === undefined || fcntl === undefined) return;
  const argv = [process.argv0, ...process.execArgv, ...process.argv.slice(1)];
  const environment = { ...process.env, ...variables, [MARK]: String(process.pid) };
  const envp = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  // Node marks all that it inherits as to be closed here.
  for (const descriptor of [...STANDARD_STREAMS, ...inheritedDescriptors()]) {
    fcntl(descriptor, SET_DESCRIPTOR_FLAGS, 0);
  }
  execve(process.execPath, [...argv, null], [...envp, null]);
}
