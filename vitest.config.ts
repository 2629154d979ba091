import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          testTimeout: 20_000,
          // Unit tests load ONNX Runtime in their own process; it would report usage over the network.
          env: { ORT_DISABLE_TELEMETRY: '1' },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: ['test/e2e/prepared-forms.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // Each file starts real servers; on two cores one at a time keeps their timings honest.
          fileParallelism: false,
        },
      },
    ],
  },
});
