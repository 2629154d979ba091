/** `npm run bench -- NAME [--json] [--quick]` */
import { parseArgs } from 'node:util';
import { benchmarks as data } from './data/index.js';
import { type Benchmark, NotRunError } from './harness/benchmark.js';
import { describeMachine } from './harness/machine.js';
import { Progress } from './harness/progress.js';
import { exitCodeOf, jsonLine, keepResult, type Result, shownResult } from './harness/report.js';
import { benchmarks as memory } from './memory/index.js';
import { benchmarks as speed } from './speed/index.js';

const benchmarks = [...memory, ...speed, ...data];
const WRONG_CALL = 2;
const NOT_RUN = 3;
const INTERRUPTED = 130;

/** What has to be undone, the last one first; a signal runs it too. */
const undos: (() => Promise<void>)[] = [];

async function undoAll(): Promise<void> {
  for (let undo = undos.pop(); undo !== undefined; undo = undos.pop()) {
    await undo().catch((error: unknown) => console.error(`cleaning up: ${String(error)}`));
  }
}

async function runOne(benchmark: Benchmark, quick: boolean, model?: string): Promise<Result> {
  const begun = performance.now();
  const head = {
    name: benchmark.name,
    machine: describeMachine(),
    started_at: new Date().toISOString(),
    ...(quick ? { quick: true as const } : {}),
    ...(model === undefined ? {} : { model }),
  };
  const empty = { checks: [], facts: [] };
  const took = () => ({ duration_s: Math.round((performance.now() - begun) / 100) / 10 });
  const progress = new Progress(benchmark.name);
  const defer = (undo: () => Promise<void>) => void undos.push(undo);
  try {
    const outcome = await benchmark.run({ quick, model, progress, defer });
    const ok = outcome.checks.length > 0 && outcome.checks.every((check) => check.ok);
    return { ...head, ok, ...outcome, ...took() };
  } catch (error) {
    if (error instanceof NotRunError) {
      return { ...head, ok: false, ...empty, not_run: error.message, ...took() };
    }
    const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { ...head, ok: false, ...empty, error: words, ...took() };
  } finally {
    progress.end();
    await undoAll();
  }
}

/** One code for all: what does not hold comes before what could not run. */
async function runAll(quick: boolean, json: boolean): Promise<number> {
  const codes: number[] = [];
  const results: Result[] = [];
  for (const benchmark of benchmarks.filter(({ apart }) => apart !== true)) {
    const result = await runOne(benchmark, quick);
    results.push(result);
    codes.push(exitCodeOf(result));
    console.log(shownResult(result));
    await keepResult(
      result,
      benchmarks.map(({ name }) => name),
    );
  }
  if (json) {
    const { machine } = results[0] ?? { machine: describeMachine() };
    const checks = results.flatMap(({ name, checks: of }) =>
      of.map((check) => ({ ...check, check: `${name}: ${check.check}` })),
    );
    const notRun = results.filter((result) => result.not_run !== undefined).map(({ name }) => name);
    const ok = codes.every((code) => code !== 1);
    const not = notRun.length > 0 ? { not_run: notRun.join(', ') } : {};
    console.log(JSON.stringify({ name: 'all', ok, checks, ...not, machine }));
  }
  if (codes.includes(1)) return 1;
  return codes.includes(NOT_RUN) ? NOT_RUN : 0;
}

function usage(): string {
  const width = Math.max(...benchmarks.map(({ name }) => name.length));
  return [
    'npm run bench -- NAME [--json] [--quick] [--model MODEL]',
    '',
    ...benchmarks.map(({ name, about }) => `  ${name.padEnd(width)}  ${about}`),
    `  ${'all'.padEnd(width)}  every one of them; writes bench/results/`,
    '',
    '  --json   the last line of output is the result as JSON',
    '  --quick  small counts, only to see that it works',
    '  --model  only that one, where several are measured: spam, minilm, distilbert, bert-base',
    '  --keep   write the result into bench/results/, as `all` does',
    '',
    'Exit code: 0 every check holds, 1 one does not, 3 it could not run here.',
    'PLIMSOLL_BENCH_DIR: where models are kept between runs (about 21 GB for density).',
    'PLIMSOLL_BENCH_TOKENIZER: folder of the tokenizer that they get (default: models/spam).',
  ].join('\n');
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      model: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const [name, ...more] = positionals;
  if (values.help || name === 'list') {
    console.log(usage());
    return 0;
  }
  if (name === 'all' && more.length === 0) return runAll(values.quick, values.json);
  const benchmark = benchmarks.find((candidate) => candidate.name === name);
  if (benchmark === undefined || more.length > 0) {
    console.error(usage());
    return WRONG_CALL;
  }
  const result = await runOne(benchmark, values.quick, values.model);
  console.log(shownResult(result));
  if (values.keep) {
    await keepResult(
      result,
      benchmarks.map((of) => of.name),
    );
  }
  if (values.json) console.log(jsonLine(result));
  return exitCodeOf(result);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    // What still runs meets a server that is gone; nobody waits for it any more.
    process.on('unhandledRejection', () => undefined);
    void undoAll().finally(() => process.exit(INTERRUPTED));
  });
}
try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = WRONG_CALL;
}
