import { Histogram, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { RequestMetrics } from '../../../src/metrics/deferred-metrics.js';

const BUCKETS = [0.01, 0.1, 1];

test('requests that are added up in place read as if prom-client had counted each', async () => {
  const registry = new Registry();
  const help = 'help';
  const sums = new RequestMetrics(
    registry,
    { name: 'requests_total', help },
    { name: 'seconds', help, buckets: BUCKETS },
  );
  const reference = new Registry();
  const histogram = new Histogram({
    ...{ name: 'seconds', help, buckets: BUCKETS, labelNames: ['route'] },
    registers: [reference],
  });
  const seen = [
    ['/a', 200, 0.01],
    ['/a', 200, 0.0101],
    ['/a', 503, 7],
    ['/b', 200, 1],
  ] as const;
  for (const [route, status, seconds] of seen) {
    sums.add(route, status, seconds);
    histogram.observe({ route }, seconds);
  }
  for (let time = 0; time < 2; time += 1) {
    const lines = (await registry.metrics()).split('\n');
    const expected = (await reference.metrics()).split('\n');
    expect(lines.filter((line) => line.includes('seconds')).sort()).toEqual(
      expected.filter((line) => line !== '').sort(),
    );
    expect(lines.filter((line) => line.startsWith('requests_total')).sort()).toEqual([
      'requests_total{route="/a",status="200"} 2',
      'requests_total{route="/a",status="503"} 1',
      'requests_total{route="/b",status="200"} 1',
    ]);
  }
});
