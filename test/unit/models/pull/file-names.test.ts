import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CachedModel } from '../../../../src/models/pull/cache-folder.js';
import { HubClient } from '../../../../src/models/pull/hub-client.js';
import { COMMIT, HubServer } from '../../../servers/hub.js';

const OUTSIDE = '../../../models--org--good/snapshots/main/onnx/model.onnx';
const GOOD = ['config.json', 'onnx/model.onnx', 'a..b/.gitattributes', 'été/模型.onnx'];
/** `.` in a pattern stops at these, so what follows them may be looked at by nobody. */
const BREAKS = ['\n', '\r', '\u2028', '\u2029'];
const BAD = [
  ...BREAKS.flatMap((end) => [`x${end}/${OUTSIDE}`, `x${end}y.json`]),
  ...['..', '.', '', '/etc/passwd', OUTSIDE, `onnx/${OUTSIDE}`, 'onnx/..', './config.json'],
  ...['onnx//model.onnx', 'onnx/', 'a\\..\\b', 'a\0b', 'a\u001bb', 'a'.repeat(1001)],
];

describe('a file that the hub lists', () => {
  let hub: HubServer;

  beforeEach(async () => {
    hub = await HubServer.start(
      new Map([...GOOD, ...BAD].map((name) => [name, Buffer.from('{}')])),
    );
  });

  afterEach(() => hub.stop());

  test('is taken only by a name that stays below the folder of the model', async () => {
    const { endpoint } = hub;
    const client = new HubClient({ endpoint, cacheFolder: '', token: '', isOffline: false });
    const wanted = { id: 'org/name', revision: 'main' };
    const { files } = await client.revision(wanted, new AbortController().signal);
    expect(files.map((file) => file.path)).toEqual(GOOD);
  });
});

describe('a file of a snapshot in the cache', () => {
  const cached = new CachedModel('/cache', 'org/name');

  test.each(['config.json', 'onnx/model.onnx', '..hidden/file'])('%j lies below it', (name) => {
    expect(cached.fileOf(COMMIT, name)).toBe(path.join(cached.snapshot(COMMIT), name));
  });

  test.each([OUTSIDE, `x\n/${OUTSIDE}`, '..', '.', '', 'onnx/..'])('%j is none', async (name) => {
    expect(() => cached.fileOf(COMMIT, name)).toThrow('leads out of');
    await expect(cached.link(COMMIT, name, 'etag')).rejects.toThrow('leads out of');
  });
});
