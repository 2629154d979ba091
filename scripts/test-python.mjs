// Python clients that the tests ask with, in an environment of their own below the user's cache folder: `npm test` makes it once. Where
// Python or its package index is missing, the tests that need it are skipped by name.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, mkdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

/** Pinned; what it depends on follows from it and from the Python that is there. */
const PACKAGES = ['tritonclient[http]==2.73.0'];
const TRIES = 3;
const TRY_MS = 300_000;
/** The import fails where an installation is not whole. */
const CHECK = 'import tritonclient.http';

const root = path.join(
  process.env.XDG_CACHE_HOME || path.join(homedir(), '.cache'),
  'plimsoll-tests',
);
const folder = path.join(root, `python-${PACKAGES.join('-').replaceAll(/[^\w.]+/g, '-')}`);
const programOf = (environment) => path.join(environment, 'bin', 'python');

/** The path of the Python that has the clients; undefined if it is not installed. */
export function findPython() {
  try {
    accessSync(programOf(folder), constants.X_OK);
    return programOf(folder);
  } catch {
    return undefined;
  }
}

/**
 * Installs the clients, unless they are there. Another process that does the same at the same time does no harm: each
 * makes a folder of its own, and the first one stays.
 *
 * @param python a Python with its module venv
 * @returns the path of the Python that has the clients; undefined if it cannot be had
 */
export function installPython(python) {
  const known = findPython();
  if (known !== undefined && run(known, ['-c', CHECK])) return known;
  if (known !== undefined) rmSync(folder, { recursive: true, force: true });
  mkdirSync(root, { recursive: true });
  const making = `${folder}.${process.pid}`;
  try {
    for (let tries = 0; tries < TRIES; tries += 1) {
      rmSync(making, { recursive: true, force: true });
      if (!make(python, making)) continue;
      try {
        renameSync(making, folder);
      } catch {
        // Another process was faster.
      }
      return findPython();
    }
    return undefined;
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

/** Only packages that need no compiler. A moved environment works as long as its Python is called by its path. */
function make(python, environment) {
  const options = ['--quiet', '--disable-pip-version-check', '--only-binary', ':all:'];
  return (
    run(python, ['-m', 'venv', environment]) &&
    run(programOf(environment), ['-m', 'pip', 'install', ...options, ...PACKAGES]) &&
    run(programOf(environment), ['-c', CHECK])
  );
}

function run(program, args) {
  const { status } = spawnSync(program, args, {
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: TRY_MS,
  });
  return status === 0;
}
