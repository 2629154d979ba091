import { rm, truncate } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Shard, ShardState } from '../../../../src/jobs/queue/queue.js';
import { checkPartsExist } from '../../../../src/jobs/run/check-parts-exist.js';
import { all, localPlaces, signal, temporaryFolder } from '../reading.js';

const MODEL = { id: 'spam', commit: null, dtype: 'fp32' };
/** More than are looked for at once. */
const PARTS = 20;

async function writtenParts() {
  const folder = await temporaryFolder();
  const writer = localPlaces().writer(folder);
  const shards: ShardState[] = [];
  for (let index = 0; index < PARTS; index += 1) {
    const part = `part-${index}.jsonl`;
    const chunks = (async function* () {
      yield Buffer.from(`{"row":${index}}\n`);
    })();
    const { bytes, sha256 } = await writer.write(part, chunks, signal);
    const shard: Shard = {
      index,
      file: { url: '/in.jsonl', bytes: 1, version: '1' },
      range: { unit: 'rows', start: index },
    };
    const result = { part, bytes, sha256, rows: 1, bad: 0, server: 'a', tookMs: 1, model: MODEL };
    shards.push({ shard, state: 'done', attempts: 1, reason: null, server: 'a', result });
  }
  const passed = async (of: readonly ShardState[] = shards) =>
    all(
      checkPartsExist(
        (async function* () {
          yield* of;
        })(),
        folder,
        writer,
        signal,
      ),
    );
  return { folder, shards, passed };
}

describe('the parts that a manifest names', () => {
  test('are passed on in their order while they are there', async () => {
    const { shards, passed } = await writtenParts();
    expect(await passed()).toEqual(shards);
  });

  test('are not named once one is gone, or was cut', async () => {
    const { folder, passed } = await writtenParts();
    await truncate(path.join(folder, 'part-18.jsonl'), 3);
    await expect(passed()).rejects.toThrow(
      /part-18\.jsonl of shard 18 .* has 3 bytes: retry the job/,
    );
    await rm(folder, { recursive: true });
    await expect(passed()).rejects.toThrow(
      /part-\d+\.jsonl of shard \d+ .* is gone: retry the job/,
    );
  });

  test('a shard that failed has none', async () => {
    const { folder, shards, passed } = await writtenParts();
    await rm(path.join(folder, 'part-3.jsonl'));
    const withFailed = shards.map(
      (one): ShardState =>
        one.shard.index === 3 ? { ...one, state: 'failed', result: null } : one,
    );
    expect(await passed(withFailed)).toEqual(withFailed);
  });
});
