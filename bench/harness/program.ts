/** Where things are: this file runs as dist-bench/bench/harness/program.js. */
import { fileURLToPath } from 'node:url';

export const projectFolder = fileURLToPath(new URL('../../..', import.meta.url));

/** The built program that is measured. */
export const serverProgram = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));

/**
 * The environment of the server under test: ours without its settings, so that a variable of the
 * caller's shell changes no figure (and because it refuses names that it does not know).
 */
export function serverEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('PLIMSOLL_') && name !== 'NODE_OPTIONS',
  );
  return Object.fromEntries(kept);
}
