// `npm run bench`: builds what is older than its sources, then runs the benchmarks.
import { spawn } from 'node:child_process';
import { buildBenchmarks, buildServer, compiled } from './build.mjs';

if (!buildServer() || !buildBenchmarks()) process.exit(2);
const args = ['--expose-gc', compiled('main.js'), ...process.argv.slice(2)];
const child = spawn(process.execPath, args, {
  stdio: 'inherit',
  // Some benchmarks load ONNX Runtime themselves; it would report usage over the network.
  env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
});
// A signal to the terminal's process group reaches the child too: it cleans up, and this one waits.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => process.exit(code ?? 1));
