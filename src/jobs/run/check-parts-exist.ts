import { InputError } from '../files/input-error.js';
import type { Writer } from '../files/place.js';
import type { ShardState } from '../queue/queue.js';

/** Parts that are looked for at the same time. */
const AT_ONCE = 16;

/**
 * Passes the shards on, and checks that what they wrote is still there: a manifest must name no part that somebody has removed.
 *
 * @throws InputError the first part that is gone, or has another length
 */
export async function* checkPartsExist(
  shards: AsyncIterable<ShardState>,
  output: string,
  writer: Pick<Writer, 'bytesOf'>,
  signal: AbortSignal,
): AsyncGenerator<ShardState> {
  let some: ShardState[] = [];
  const check = () => Promise.all(some.map((shard) => expectPart(shard, output, writer, signal)));
  for await (const shard of shards) {
    some.push(shard);
    if (some.length < AT_ONCE) continue;
    await check();
    yield* some;
    some = [];
  }
  await check();
  yield* some;
}

async function expectPart(
  { shard, result }: ShardState,
  output: string,
  writer: Pick<Writer, 'bytesOf'>,
  signal: AbortSignal,
): Promise<void> {
  if (result === null) return;
  const { part, bytes } = result;
  const foundBytes = await writer.bytesOf(part, signal);
  if (foundBytes === bytes) return;
  const found = foundBytes === undefined ? 'is gone' : `has ${foundBytes} bytes`;
  const remedy = 'retry the job, which writes it again';
  throw new InputError(
    `${part} of shard ${shard.index} (${bytes} bytes) was written to ${output} and ${found}: ${remedy}`,
  );
}
