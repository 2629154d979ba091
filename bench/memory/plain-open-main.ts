/** Opens one model as a plain session, once, and says how many ms that took. */
import { InferenceSession } from 'onnxruntime-node';

const begun = performance.now();
const session = await InferenceSession.create(process.argv[2] ?? '');
const ms = performance.now() - begun;
await session.release();
process.send?.(ms);
process.disconnect?.();
