import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Each file starts real servers of its own; much of the time is waiting, so two files share two cores well. */
const endToEnd = {
  include: ['test/e2e/**/*.test.ts'],
  globalSetup: ['test/e2e/prepared-forms.ts'],
  testTimeout: 120_000,
  hookTimeout: 120_000,
  // Some files write models' forms in their own process.
  env: { ORT_DISABLE_TELEMETRY: '1' },
};
/** Files that need a process of their own: they have a fake clock, load modules anew, or read the memory of the process. */
const NOT_SHARED = /useFakeTimers|resetModules|collectGarbage|memoryUsage/;
const ALONE = readdirSync(path.join(import.meta.dirname, 'test/unit'), { recursive: true })
  .map((name) => path.join('test/unit', String(name)))
  .filter((file) => file.endsWith('.test.ts'))
  .filter((file) => NOT_SHARED.test(readFileSync(path.join(import.meta.dirname, file), 'utf8')));
const unit = {
  include: ['test/unit/**/*.test.ts'],
  testTimeout: 60_000,
  unstubEnvs: true,
  // Part of the time is waiting, for servers and clocks: three processes keep two cores busy.
  maxWorkers: Math.max(3, availableParallelism() - 1),
  // Unit tests load ONNX Runtime in their own process; it would report usage over the network.
  env: { ORT_DISABLE_TELEMETRY: '1' },
};
const JUDGED = ['test/e2e/proof*.test.ts'];

/** Files that take longest, the longest first; in any other order one of them may run alone at the end. */
const SLOWEST = [
  ...['models-field', 'page-names', 'shutdown', 'models', 'records', 'redis', 'start', 'database'],
  ...['models/matrix', 'jobs/queue/queue', 'jobs/queue/chaos', 'deploy/chart', 'compile/preparer'],
  ...['models/fixtures', 'store/recorder', 'verify/try-candidates', 'store/store'],
].map((name) => `/${name}.test.ts`);

class SlowestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rankOf = ({ moduleId }: TestSpecification) => {
      const at = SLOWEST.findIndex((name) => moduleId.endsWith(name));
      return at < 0 ? SLOWEST.length : at;
    };
    // The rest stays as it was: the largest first, or the slowest where an earlier run is remembered.
    return (await super.sort(files)).toSorted((one, other) => rankOf(one) - rankOf(other));
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: SlowestFirst },
    projects: [
      {
        test: {
          ...unit,
          name: 'unit',
          exclude: ALONE,
          // One process runs many files: starting one for each, which loads the same modules again, costs a fifth of the time.
          isolate: false,
        },
      },
      // What other files have left behind would set timers on their clock, or be freed while they measure.
      { test: { ...unit, name: 'unit-alone', include: ALONE } },
      { test: { ...endToEnd, name: 'e2e', exclude: JUDGED, maxWorkers: 2 } },
      // A proof judges what it measures: nothing else may run beside it.
      { test: { ...endToEnd, name: 'e2e-proof', include: JUDGED, fileParallelism: false } },
    ],
  },
});
