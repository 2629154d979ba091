import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** Each file starts real servers of its own; much of the time is waiting, so two files share two cores well. */
const endToEnd = {
  include: ['test/e2e/**/*.test.ts'],
  globalSetup: ['test/e2e/prepared-forms.ts'],
  testTimeout: 120_000,
  hookTimeout: 120_000,
};
const JUDGED = ['test/e2e/proof*.test.ts'];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          testTimeout: 20_000,
          // The default leaves one core to the runner, which hardly uses it: on two cores that is half.
          maxWorkers: Math.max(2, availableParallelism() - 1),
          // Unit tests load ONNX Runtime in their own process; it would report usage over the network.
          env: { ORT_DISABLE_TELEMETRY: '1' },
        },
      },
      { test: { ...endToEnd, name: 'e2e', exclude: JUDGED, maxWorkers: 2 } },
      // A proof judges what it measures: nothing else may run beside it.
      { test: { ...endToEnd, name: 'e2e-proof', include: JUDGED, fileParallelism: false } },
    ],
  },
});
