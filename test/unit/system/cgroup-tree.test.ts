import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  findCgroup,
  parseMountinfo,
  parseProcCgroup,
} from '../../../src/system/cgroup/cgroup-tree.js';
import { capturedRoot, layOut } from './trees.js';
import { SYSTEMD_V2, V2_CONTAINER_MOUNT } from './written-trees.js';

const HOST_MOUNT = SYSTEMD_V2['proc/self/mountinfo'] ?? '';

function directoriesOf(cgroup: string, mountinfo: string) {
  const root = layOut({ 'proc/self/cgroup': cgroup, 'proc/self/mountinfo': mountinfo });
  return findCgroup('memory', root).then((place) => place?.directories);
}

describe('captured: hybrid system, memory on v1', () => {
  test('the v1 line wins over the v2 line', async () => {
    expect(await findCgroup('memory', capturedRoot('v1-limited'))).toEqual({
      version: 'v1',
      directories: [
        '/sys/fs/cgroup/memory/service/worker/outer/inner',
        '/sys/fs/cgroup/memory/service/worker/outer',
        '/sys/fs/cgroup/memory/service/worker',
        '/sys/fs/cgroup/memory/service',
        '/sys/fs/cgroup/memory',
      ],
    });
  });

  test('a cgroup bound over the tree: the mount that covers the other one counts', async () => {
    expect(await findCgroup('memory', capturedRoot('v1-bind-mount'))).toEqual({
      version: 'v1',
      directories: ['/sys/fs/cgroup/memory'],
    });
  });

  test('in a cgroup namespace with the old mount, our place below it is unknown', async () => {
    expect(await findCgroup('memory', capturedRoot('v1-namespace'))).toEqual({
      version: 'v1',
      directories: ['/sys/fs/cgroup/memory'],
    });
  });

  test('in a cgroup namespace with a mount of its own, that one is taken', async () => {
    expect(await findCgroup('memory', capturedRoot('v1-namespace-own-mount'))).toEqual({
      version: 'v1',
      directories: ['/mnt'],
    });
  });

  test('the lines of the captured files', () => {
    const read = (name: string) =>
      readFileSync(capturedRoot(`v1-limited/proc/self/${name}`), 'utf8');
    const memberships = parseProcCgroup(read('cgroup'));
    expect(memberships).toHaveLength(10);
    expect(memberships.at(-1)).toEqual({ version: 'v2', controllers: [], path: '/' });
    const mounts = parseMountinfo(read('mountinfo'));
    expect(mounts).toHaveLength(10);
    expect(mounts.at(-1)).toMatchObject({ version: 'v2', mountPoint: '/sys/fs/cgroup/unified' });
  });
});

describe('v2', () => {
  test('a service below the root', async () => {
    expect(await directoriesOf('0::/a.slice/b.service\n', HOST_MOUNT)).toEqual([
      '/sys/fs/cgroup/a.slice/b.service',
      '/sys/fs/cgroup/a.slice',
      '/sys/fs/cgroup',
    ]);
  });

  test('a container whose namespace has its cgroup as the root', async () => {
    expect(await directoriesOf('0::/\n', V2_CONTAINER_MOUNT)).toEqual(['/sys/fs/cgroup']);
  });

  test('a path that leads out of the namespace ends at the mount point', async () => {
    expect(await directoriesOf('0::/../..\n', V2_CONTAINER_MOUNT)).toEqual(['/sys/fs/cgroup']);
    expect(await directoriesOf('0::/../other\n', V2_CONTAINER_MOUNT)).toEqual(['/sys/fs/cgroup']);
  });

  test('path and mount root above the namespace by the same way', async () => {
    const mount = HOST_MOUNT.replace(' / /sys', ' /../.. /sys');
    expect(await directoriesOf('0::/../../x\n', mount)).toEqual([
      '/sys/fs/cgroup/x',
      '/sys/fs/cgroup',
    ]);
  });

  test('of two mounts the one that shows more of the tree above us', async () => {
    const bound = HOST_MOUNT.replace(' / /sys/fs/cgroup ', ' /a /mine ');
    const host = HOST_MOUNT.replace('/sys/fs/cgroup', '/host\\040tree/cgroup');
    expect(await directoriesOf('0::/a/b\n', bound + host)).toEqual([
      '/host tree/cgroup/a/b',
      '/host tree/cgroup/a',
      '/host tree/cgroup',
    ]);
    expect(await directoriesOf('0::/a/b\n', bound)).toEqual(['/mine/b', '/mine']);
  });

  test('a name that merely starts like the mount root is not below it', async () => {
    const bound = HOST_MOUNT.replace(' / /sys/fs/cgroup ', ' /pod /mine ');
    expect(await directoriesOf('0::/pod2/b\n', bound)).toEqual(['/mine']);
  });

  test('the mark of a removed cgroup is not part of its name', () => {
    expect(parseProcCgroup('0::/gone (deleted)\n')[0]?.path).toBe('/gone');
  });
});

test('nothing mounted, or no /proc: no cgroup', async () => {
  expect(await directoriesOf('0::/\n', '22 27 0:21 / /proc rw - proc proc rw\n')).toBeUndefined();
  expect(await findCgroup('memory', layOut())).toBeUndefined();
});

test('parsers take any text without throwing', () => {
  const piece = fc.constantFrom(
    '0::',
    '4:memory:',
    '/',
    '/..',
    ' - ',
    'cgroup2',
    '\\040',
    ' ',
    '\n',
  );
  const garbage = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(piece).map((pieces) => pieces.join('')),
  );
  fc.assert(
    fc.property(garbage, (text) => {
      for (const { path } of parseProcCgroup(text)) expect(path.startsWith('/')).toBe(true);
      const points = parseMountinfo(text).map(({ mountPoint }) => mountPoint);
      expect(new Set(points).size).toBe(points.length);
    }),
  );
});
