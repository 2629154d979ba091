import { messageOf, PlimsollError, systemCodeOf } from '../errors.js';
import { SettingError } from '../settings/setting.js';

/** Open files that a server of the default settings may come to need: 1,024 connections would need more, few clients less. */
const OPEN_FILES = 1024;

/**
 * Why a command could not do its work, in one line (one for each setting that is wrong):
 *
 * 1. Settings: every one that is wrong.
 * 2. Too few open files: the limit that has to be raised.
 * 3. An error that is neither ours nor the system's, while Node runs with options of the user's: these may be what a
 *    library does not bear (`--frozen-intrinsics`), so they are named.
 * 4. Anything else: its message.
 */
export function startFailure(
  error: unknown,
  nodeOptions: string = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ').trim(),
): string {
  if (error instanceof SettingError) return `these settings cannot be used:\n${error.message}`;
  const code = systemCodeOf(error);
  if (code === 'EMFILE' || code === 'ENFILE') {
    return `too many open files: allow at least ${OPEN_FILES} (\`ulimit -n ${OPEN_FILES}\`, LimitNOFILE= in a unit)`;
  }
  const [line = ''] = messageOf(error).trim().split('\n');
  const isForeign = /^ERR_/.test(code ?? 'ERR_') && !(error instanceof PlimsollError);
  if (!isForeign || nodeOptions === '') return line;
  return `${line} (Node runs with ${nodeOptions}: start it without, if that is the cause)`;
}

/**
 * Has the program end with one line, and not with a stack, on an error that no caller gets: a library may throw in a callback,
 * or twice. A server that runs is past that: there the stack is what helps.
 *
 * @returns ends it
 */
export function reportUncaught(exitCode: number): () => void {
  const report = (error: unknown) => {
    // Set: the command has failed already, and said why.
    if (process.exitCode === undefined) {
      process.stderr.write(`plimsoll: ${startFailure(error)}\n`);
    }
    process.exit(exitCode);
  };
  process.on('uncaughtException', report);
  return () => void process.off('uncaughtException', report);
}
