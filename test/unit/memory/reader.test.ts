import { expect, test } from 'vitest';
import { loadBytes } from '../../../src/memory/reader.js';
import type { ProcessReading } from '../../../src/memory/snapshot.js';
import { SystemReader } from '../../../src/system/reading.js';
import { layOut } from '../system/trees.js';
import { DOCKER_V2 } from '../system/written-trees.js';

const MiB = 2 ** 20;

function holding(privateBytes: number): ProcessReading {
  const rest = { rssBytes: 0, pssBytes: 0, sharedBytes: 0, privateCleanBytes: 0, swapBytes: 0 };
  return { role: 'worker', pid: 1, memory: { ...rest, privateBytes, source: 'runtime' } };
}

const processes = [holding(30 * MiB), holding(40 * MiB)];

test('in a bounded cgroup the load is its working set without file pages in use', async () => {
  const system = await new SystemReader(layOut(DOCKER_V2)).read();
  expect(loadBytes({ system, processes })).toBe(140 * MiB);
});

test('on a machine it is what is not available', async () => {
  const root = layOut({
    'proc/meminfo': 'MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 400 kB\n',
  });
  expect(loadBytes({ system: await new SystemReader(root).read(), processes })).toBe(600 * 1024);
});

test('where nothing tells what is available it is what our processes hold, and no page cache', async () => {
  const system = await new SystemReader(layOut()).read();
  expect(loadBytes({ system, processes })).toBe(70 * MiB);
});

test('where servers divide a machine it is what this one holds, with its share of what is shared', async () => {
  const system = await new SystemReader(layOut(DOCKER_V2)).read();
  const shared = processes.map(({ memory, ...of }) => ({
    ...of,
    memory: { ...memory, pssBytes: memory.privateBytes + 5 * MiB },
  }));
  expect(loadBytes({ system, processes: shared }, 'server')).toBe(80 * MiB);
});
