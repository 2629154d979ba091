/** `npm run bench -- all`: one after another, whatever becomes of each. */
import { printed, type Result, stateOfResult } from './harness/report.js';
import { keepResult, readResults } from './harness/results-folder.js';
import { runBenchmark } from './harness/runner.js';
import { benchmarks } from './index.js';

/** Shows each result when it is there, and keeps it unless it was a quick one. */
export async function runAll(quick: boolean): Promise<readonly Result[]> {
  const chosen = benchmarks.filter(({ notInAll }) => notInAll !== true);
  const secondsOf = await lastDurations();
  const results: Result[] = [];
  for (const [at, benchmark] of chosen.entries()) {
    const place = `[${at + 1}/${chosen.length}] `;
    console.error(`${place}${benchmark.name}${quick ? '' : timeLeft(chosen.slice(at), secondsOf)}`);
    const result = await runBenchmark(benchmark, { area: benchmark.area, quick, place });
    results.push(result);
    console.log(printed(result));
    if (!quick) await keepResult(result);
  }
  console.log(summary(results));
  if (!quick) console.error('Kept. `npm run docs:figures` writes them into the documents.');
  return results;
}

/** How long each took when its result was kept, in seconds. */
async function lastDurations(): Promise<ReadonlyMap<string, number>> {
  const kept = await readResults();
  return new Map(kept.map(({ name, duration_s: seconds }) => [name, seconds]));
}

/** Guessed from the results that are kept; empty where one is missing. */
function timeLeft(
  rest: readonly { readonly name: string }[],
  secondsOf: ReadonlyMap<string, number>,
): string {
  const known = rest.map(({ name }) => secondsOf.get(name)).filter((s) => s !== undefined);
  const missing = rest.length - known.length;
  const minutes = Math.ceil(known.reduce((sum, seconds) => sum + seconds, 0) / 60);
  const more = missing === 0 ? '' : `, and ${missing} that have no kept result`;
  return ` (about ${minutes} min left, as it took last time${more})`;
}

function summary(results: readonly Result[]): string {
  const width = Math.max(...results.map(({ name }) => name.length));
  const lines = results.map((result) => {
    const disturbed = (result.disturbed_by ?? []).length > 0 ? ' (disturbed)' : '';
    return `  ${result.name.padEnd(width)}  ${stateOfResult(result)}${disturbed}`;
  });
  return ['', 'all:', ...lines].join('\n');
}
