/** Opens models as plain sessions, one after another, keeps them all and runs each once. */
import { InferenceSession, Tensor } from 'onnxruntime-node';

const sessions: InferenceSession[] = [];
for (const file of process.argv.slice(2)) {
  const session = await InferenceSession.create(file);
  sessions.push(session);
  const ids = () => new Tensor('int64', BigInt64Array.from([2n, 5n, 6n, 3n]), [1, 4]);
  const mask = new Tensor('int64', BigInt64Array.from([1n, 1n, 1n, 1n]), [1, 4]);
  await session.run({ input_ids: ids(), attention_mask: mask });
  process.send?.(sessions.length);
}
process.disconnect?.();
