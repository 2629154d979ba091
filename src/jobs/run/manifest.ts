import { VERSION } from '../../version.js';
import type { JobState, ShardState } from '../queue/queue.js';

/**
 * The manifest of a job: what was asked, every part with its rows and checksum, what failed. In pieces: a job may have many
 * thousand parts.
 */
export async function* manifestOf(
  job: JobState,
  shards: AsyncIterable<ShardState>,
): AsyncGenerator<Uint8Array> {
  const { id, request, createdAtMs, startedAtMs } = job;
  const head = {
    job: id,
    plimsoll: VERSION,
    request,
    created_at: new Date(createdAtMs).toISOString(),
    started_at: startedAtMs === null ? null : new Date(startedAtMs).toISOString(),
    finished_at: new Date().toISOString(),
  };
  const total = { parts: 0, rows: 0, bad: 0, bytes: 0, failed: 0 };
  yield text(`${JSON.stringify(head).slice(0, -1)},"parts":[`);
  for await (const shard of shards) {
    const line = JSON.stringify(entryOf(shard));
    yield text(`${total.parts + total.failed === 0 ? '' : ','}\n${line}`);
    if (shard.result === null) total.failed += 1;
    else {
      total.parts += 1;
      total.rows += shard.result.rows;
      total.bad += shard.result.bad;
      total.bytes += shard.result.bytes;
    }
  }
  yield text(`\n],"total":${JSON.stringify(total)}}\n`);
}

function entryOf({ shard, result, reason, attempts }: ShardState): object {
  const { index, file, range } = shard;
  const of = { shard: index, file: file.url, version: file.version, range };
  if (result === null) return { ...of, part: null, failed: reason, attempts };
  const { part, rows, bad, bytes, sha256, server, model } = result;
  return { ...of, part, rows, bad, bytes, sha256, server, ...{ model } };
}

function text(of: string): Uint8Array {
  return Buffer.from(of);
}
