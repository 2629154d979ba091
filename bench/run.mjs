// `npm run bench`: builds the server under test and the benchmarks when their sources are newer, then
// runs them. Node 20 cannot run TypeScript by itself.
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const at = (...parts) => path.join(root, ...parts);

/** Time of the newest change under a file or folder; 0 if it is not there. */
function newest(place) {
  const facts = statSync(place, { throwIfNoEntry: false });
  if (facts === undefined) return 0;
  if (!facts.isDirectory()) return facts.mtimeMs;
  // Packages of bench/peers, installed by a benchmark, and results are no sources.
  const names = readdirSync(place).filter((name) => name !== 'node_modules' && name !== 'results');
  return Math.max(0, ...names.map((name) => newest(path.join(place, name))));
}

function build(what, sources, result, args) {
  if (newest(at(result)) > Math.max(...sources.map((source) => newest(at(source))))) return;
  process.stderr.write(`building ${what}\n`);
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) process.exit(2);
}

build('the server', ['src', 'web', 'tsconfig.json', 'tsconfig.build.json'], 'dist/main.js', [
  at('scripts/build.mjs'),
]);
const stamp = 'dist-bench/.built';
const sources = ['src', 'bench', 'tsconfig.json', 'tsconfig.bench.json'].filter(
  (place) => newest(at(place)) > 0,
);
if (newest(at(stamp)) <= Math.max(...sources.map((source) => newest(at(source))))) {
  rmSync(at('dist-bench'), { recursive: true, force: true });
}
build('the benchmarks', sources, stamp, [
  at('node_modules/typescript/bin/tsc'),
  '-p',
  at('tsconfig.bench.json'),
]);
writeFileSync(at(stamp), '');

const main = at('dist-bench/bench/main.js');
const child = spawn(process.execPath, ['--expose-gc', main, ...process.argv.slice(2)], {
  stdio: 'inherit',
  // Some benchmarks load ONNX Runtime themselves; it would report usage over the network.
  env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
});
// A signal to the terminal's process group reaches the child too: it cleans up, and this one waits.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => process.exit(code ?? 1));
