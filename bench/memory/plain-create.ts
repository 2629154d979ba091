/** Opens one model the plain way, once, in a process of its own, and says how long that took. */
import { InferenceSession } from 'onnxruntime-node';

const begun = performance.now();
const session = await InferenceSession.create(process.argv[2] ?? '');
const ms = performance.now() - begun;
await session.release();
process.send?.(ms);
process.disconnect?.();
