// Builds the server under test and the benchmarks where their sources are newer: Node 20 cannot run
// TypeScript by itself. Used by `npm run bench` and `npm run docs:figures`.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const at = (...parts) => path.join(root, ...parts);
const STAMP = 'dist-bench/.built';
const SOURCES = ['src', 'bench', 'test/servers', 'tsconfig.json', 'tsconfig.bench.json'];
/** Packages that a benchmark installed, and results: no sources. */
const NOT_SOURCES = ['node_modules', 'results'];

/** Time of the newest change in a file or folder; 0 if it is not there. */
function newest(place) {
  const facts = statSync(place, { throwIfNoEntry: false });
  if (facts === undefined) return 0;
  if (!facts.isDirectory()) return facts.mtimeMs;
  const names = readdirSync(place).filter((name) => !NOT_SOURCES.includes(name));
  return Math.max(facts.mtimeMs, ...names.map((name) => newest(path.join(place, name))));
}

function isOlder(result, sources) {
  return newest(at(result)) <= Math.max(...sources.map((source) => newest(at(source))));
}

/** @returns whether it succeeded; what the compiler says goes to stderr. */
function build(what, args) {
  process.stderr.write(`building ${what}\n`);
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) process.stderr.write(`${what} cannot be built\n`);
  return status === 0;
}

/** The program that is measured: dist/. */
export function buildServer() {
  const sources = [
    'src',
    'web',
    'scripts/build.mjs',
    'scripts/bundle.mjs',
    'tsconfig.json',
    'tsconfig.build.json',
  ];
  if (!isOlder('dist/main.js', sources)) return true;
  return build('the server', [at('scripts/build.mjs')]);
}

/** dist-bench/, made anew: a file that was moved would stay there under its old name. */
export function buildBenchmarks() {
  if (!isOlder(STAMP, SOURCES)) return true;
  rmSync(at('dist-bench'), { recursive: true, force: true });
  const compiler = at('node_modules/typescript/bin/tsc');
  if (!build('the benchmarks', [compiler, '-p', at('tsconfig.bench.json')])) return false;
  mkdirSync(at('dist-bench'), { recursive: true });
  writeFileSync(at(STAMP), '');
  return true;
}

/** Where a compiled file of bench/ is. */
export function compiled(...parts) {
  return at('dist-bench', 'bench', ...parts);
}
