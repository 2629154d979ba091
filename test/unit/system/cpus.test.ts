import { availableParallelism, cpus } from 'node:os';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  availableCpus,
  cpuFlags,
  parseCpuFlags,
  parseCpuList,
  parseCpuMax,
} from '../../../src/system/cpus.js';
import { capturedRoot, layOut, type Tree } from './trees.js';
import { DOCKER_V2, KUBERNETES_V1, SYSTEMD_V2 } from './written-trees.js';

/** A machine with `online` CPUs, of which the process may use `allowed`. */
function affinity(allowed: string, online = '0-63'): Tree {
  return {
    'proc/self/status': `Name:\tnode\nCpus_allowed:\tff\nCpus_allowed_list:\t${allowed}\n`,
    'sys/devices/system/cpu/online': `${online}\n`,
  };
}

describe('available CPUs', () => {
  test('captured: two CPUs, no quota (−1)', async () => {
    expect(await availableCpus(capturedRoot('v1-limited'))).toBe(2);
  });

  test('a v2 quota of one and a half', async () => {
    expect(await availableCpus(layOut(DOCKER_V2, affinity('0-7')))).toBe(1.5);
  });

  test('a v2 quota on a cgroup above us', async () => {
    expect(await availableCpus(layOut(SYSTEMD_V2, affinity('0-7')))).toBe(2);
  });

  test('a v1 quota below one', async () => {
    expect(await availableCpus(layOut(KUBERNETES_V1, affinity('0-7')))).toBe(0.5);
  });

  test('a tiny quota is taken as a tenth of a CPU', async () => {
    const root = layOut(DOCKER_V2, affinity('0'), { 'sys/fs/cgroup/cpu.max': '1000 1000000\n' });
    expect(await availableCpus(root)).toBe(0.1);
  });

  test('the affinity counts when it is the smaller, and only CPUs that are online', async () => {
    expect(await availableCpus(layOut(DOCKER_V2, affinity('5')))).toBe(1);
    expect(await availableCpus(layOut(affinity('0-127', '0-3')))).toBe(4);
  });

  test('without /proc it is the runtime’s figure', async () => {
    expect(await availableCpus(layOut())).toBe(availableParallelism());
  });

  test('this machine: at least something, at most every CPU', async () => {
    const count = await availableCpus();
    expect(count).toBeGreaterThanOrEqual(0.1);
    expect(count).toBeLessThanOrEqual(cpus().length);
  });
});

describe('flags of the CPU', () => {
  test('captured x86: the flags that matter, sorted', async () => {
    const root = capturedRoot('v1-limited');
    expect(await cpuFlags(root)).toEqual([
      'avx',
      'avx2',
      'avx512_bitalg',
      'avx512_vbmi2',
      'avx512_vnni',
      'avx512_vpopcntdq',
      'avx512bw',
      'avx512cd',
      'avx512dq',
      'avx512f',
      'avx512ifma',
      'avx512vbmi',
      'avx512vl',
      'f16c',
      'fma',
    ]);
  });

  test('arm64: all features', () => {
    const text =
      'processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd evtstrm asimddp sve\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd40\n';
    expect(parseCpuFlags(text)).toEqual(['asimd', 'asimddp', 'evtstrm', 'fp', 'sve']);
  });

  test('without /proc/cpuinfo: no flags', async () => {
    const root = layOut();
    expect(await cpuFlags(root)).toEqual([]);
  });
});

test('CPU lists', () => {
  expect([...parseCpuList('0-2,8\n')]).toEqual([0, 1, 2, 8]);
  expect(parseCpuList('0-99999').size).toBe(8192);
  for (const text of ['', 'x', '0-', '1,,2', '3-1']) expect(parseCpuList(text).size).toBe(0);
});

test('parsers take any text without throwing', () => {
  const field = fc.constantFrom(
    'flags',
    'Features',
    'model name',
    ':',
    ' ',
    '\t',
    '\n',
    'avx2',
    '-',
  );
  const garbage = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(field).map((parts) => parts.join('')),
    fc.tuple(fc.nat(), fc.nat()).map(([quota, period]) => `${quota} ${period}`),
  );
  fc.assert(
    fc.property(garbage, (text) => {
      expect(parseCpuFlags(text)).not.toContain('');
      expect(parseCpuList(text).size).toBeLessThanOrEqual(8192);
      expect(parseCpuMax(text) ?? 1).toBeGreaterThan(0);
    }),
  );
});
