/** `npm run bench -- NAME [--json] [--quick]` */
import { parseArgs } from 'node:util';
import { exitCodeOf, jsonLine, jsonLineOfAll, printed, stateOfResult } from './harness/report.js';
import { keepResult } from './harness/results-folder.js';
import { interrupt, runBenchmark } from './harness/runner.js';
import { benchmarks } from './index.js';
import { runAll } from './run-all.js';
import { likely, usage } from './usage.js';

const WRONG_CALL = 2;
const INTERRUPTED = 130;

class WrongCallError extends Error {
  override readonly name = 'WrongCallError';
}

function readArguments(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        quick: { type: 'boolean', default: false },
        keep: { type: 'boolean', default: false },
        model: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    return { ...values, names: positionals };
  } catch (error) {
    throw new WrongCallError(error instanceof Error ? error.message : String(error));
  }
}

/** @returns the exit code */
async function main(args: readonly string[]): Promise<number> {
  const { names, json, quick, keep, model, help } = readArguments(args);
  const [name, ...more] = names;
  if (help || name === 'list' || name === undefined) {
    console.log(usage());
    return help || name === 'list' ? 0 : WRONG_CALL;
  }
  if (more.length > 0) throw new WrongCallError(`one name at a time, not ${names.join(', ')}`);
  if (keep && quick)
    throw new WrongCallError('the figures of --quick mean nothing: without --keep');
  if (name === 'all') {
    if (model !== undefined) throw new WrongCallError('--model goes with one benchmark, not all');
    const results = await runAll(quick);
    if (json) console.log(jsonLineOfAll(results));
    return exitCodeOf(results.map(stateOfResult));
  }
  const benchmark = benchmarks.find((candidate) => candidate.name === name);
  if (benchmark === undefined) {
    throw new WrongCallError(`there is no benchmark ${JSON.stringify(name)}.${likely(name)}`);
  }
  const result = await runBenchmark(benchmark, { area: benchmark.area, quick, model });
  console.log(printed(result));
  if (keep) {
    await keepResult(result);
    console.error('Kept. `npm run docs:figures` writes it into the documents.');
  }
  if (json) console.log(jsonLine(result));
  return exitCodeOf([stateOfResult(result)]);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void interrupt().finally(() => process.exit(INTERRUPTED)));
}
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof WrongCallError)) throw error;
  console.error(`${error.message}\n\nnpm run bench -- list   shows every name and option`);
  process.exitCode = WRONG_CALL;
}
