/** Runs benchmarks: what a run needs, what has to be undone after it, and what came of it. */
import { type Benchmark, type Context, NotRunError, type Outcome } from './benchmark.js';
import { NotMeasuredError } from './checks.js';
import { describeMachine } from './machine/machine.js';
import { MachineWatch } from './machine/machine-load.js';
import { projectVersion } from './program.js';
import { Progress } from './progress.js';
import type { Result } from './report.js';

export interface RunOptions {
  readonly area: string;
  readonly quick: boolean;
  readonly model?: string | undefined;
  /** Before the benchmark's name in lines of progress: how many of all have run. */
  readonly place?: string;
}

/** What has to be undone, the last one first; a signal runs it too. */
const undos: (() => Promise<void>)[] = [];
let isInterrupted = false;

/** Undoes everything; the benchmark that runs, which now meets a server that is gone, never goes on. */
export async function interrupt(): Promise<void> {
  isInterrupted = true;
  process.on('unhandledRejection', () => undefined);
  await undoAll();
}

async function undoAll(): Promise<void> {
  for (let undo = undos.pop(); undo !== undefined; undo = undos.pop()) {
    await undo().catch((error: unknown) => console.error(`cleaning up: ${String(error)}`));
  }
}

/** Never rejects: what goes wrong is in the result. */
export async function runBenchmark(benchmark: Benchmark, options: RunOptions): Promise<Result> {
  const { area, quick, model, place = '' } = options;
  const { name, about } = benchmark;
  const progress = new Progress(`${place}${name}`);
  const startedAt = new Date();
  const watch = new MachineWatch();
  const defer = (undo: () => Promise<void>) => void undos.push(undo);
  const came = await outcomeOf(benchmark, { quick, model, progress, defer });
  // The process is about to end: the next benchmark must not begin.
  if (isInterrupted) await new Promise(() => undefined);
  const { load, disturbedBy } = watch.end();
  progress.end();
  await undoAll();
  const { headline, checks = [], facts = [], ...rest } = came;
  return {
    ...{ name, area, about },
    ...(isComplete(headline) ? { headline } : {}),
    ok: checks.length > 0 && checks.every((check) => check.ok),
    ...{ checks, facts },
    ...(quick ? { quick: true as const } : {}),
    ...(model === undefined ? {} : { model }),
    version: projectVersion,
    machine: describeMachine(),
    machine_load: load,
    disturbed_by: disturbedBy,
    started_at: startedAt.toISOString(),
    duration_s: Math.round((Date.now() - startedAt.getTime()) / 100) / 10,
    ...rest,
  };
}

/** Whether every figure of a headline was measured. */
function isComplete(headline: string | undefined): headline is string {
  return headline !== undefined && headline !== '' && !/NaN|Infinity/.test(headline);
}

async function outcomeOf(
  benchmark: Benchmark,
  context: Context,
): Promise<Partial<Outcome> & Pick<Result, 'not_run' | 'error'>> {
  try {
    return await benchmark.run(context);
  } catch (error) {
    const isReason = error instanceof NotRunError || error instanceof NotMeasuredError;
    if (isReason) return { not_run: error.message };
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
