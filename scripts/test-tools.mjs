// What the tests need beyond npm: a Redis, a PostgreSQL with pgbouncer, a balancer and a browser, all from Debian's packages, and
// Python packages: clients of other protocols, and what judges deploy/. `npm test` installs what is missing where it may (Debian, as root); otherwise the tests that need it are skipped by name.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readdirSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { installPython } from './test-python.mjs';

const POSTGRESQL_FOLDER = '/usr/lib/postgresql';

/** Each tool: its program, and the Debian package that brings it. */
const TOOLS = {
  redis: { program: 'redis-server', package: 'redis-server' },
  postgresql: { program: 'postgres', package: 'postgresql' },
  pgbouncer: { program: 'pgbouncer', package: 'pgbouncer' },
  chromium: { program: 'chromium', package: 'chromium' },
  haproxy: { program: 'haproxy', package: 'haproxy' },
  systemd: { program: 'systemd-analyze', package: 'systemd' },
};

/** Debian keeps the servers of PostgreSQL off the PATH, in one folder for each version. */
function postgresqlFolders() {
  try {
    return readdirSync(POSTGRESQL_FOLDER)
      .sort((a, b) => Number(b) - Number(a))
      .map((version) => path.join(POSTGRESQL_FOLDER, version, 'bin'));
  } catch {
    return [];
  }
}

/** The path of a program; undefined if it is not installed. */
function findProgram(name) {
  // Debian keeps some servers in /usr/sbin, which is not on everybody's PATH.
  const folders = [
    ...(process.env.PATH ?? '').split(path.delimiter),
    ...postgresqlFolders(),
    '/usr/sbin',
  ];
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => path.join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** The path of a tool's program; undefined if it is not installed. */
export function findTool(name) {
  return findProgram(TOOLS[name].program);
}

/** What Debian's package manager would install with; undefined where it may not. */
function aptGet() {
  if (process.getuid?.() !== 0 || findProgram('apt-get') === undefined) return undefined;
  return (...args) =>
    spawnSync('apt-get', args, {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
    });
}

/** Installs what is missing, where it may; tells the names of what is still missing. */
export function installTools() {
  const missing = () => Object.keys(TOOLS).filter((name) => findTool(name) === undefined);
  const packages = missing().map((name) => TOOLS[name].package);
  const apt = aptGet();
  if (packages.length > 0 && apt === undefined) {
    process.stdout.write(`missing, and not installed from here: ${packages.join(', ')}\n`);
  }
  if (packages.length > 0 && apt !== undefined) {
    apt('update', '-qq');
    apt('install', '-y', '-qq', '--no-install-recommends', ...packages);
  }
  return [...missing(), ...missingPython(apt)];
}

/** Debian's Python comes without what makes environments. */
function missingPython(apt) {
  const python = findProgram('python3');
  const lacks = (program) =>
    ['clients', 'deploy', 's3'].filter((name) => installPython(program, name) === undefined);
  const first = python === undefined ? ['python3'] : lacks(python);
  if (first.length > 0 && apt !== undefined) {
    apt('update', '-qq');
    apt('install', '-y', '-qq', '--no-install-recommends', 'python3-venv');
    return lacks('/usr/bin/python3').map((name) => `Python's ${name}`);
  }
  return first.map((name) => `Python's ${name}`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const missing = installTools();
  if (missing.length > 0) process.stdout.write(`tests without: ${missing.join(', ')}\n`);
}
