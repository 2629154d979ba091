/** Answers like a worker, without running anything. */
import type {
  BatchResult,
  NumberedRequest,
  WorkerMessage,
} from '../../src/inference/workers/protocol.js';

process.on('message', (request: NumberedRequest) => {
  if (request.type !== 'run') return;
  const rows = request.inputs.map(() => ({ scores: [0.9707592, 0.0292408], truncated: false }));
  const value: BatchResult = { rows, tokenizeMs: 1.234567, runMs: 12.345678 };
  process.send?.({ type: 'answer', id: request.id, value } satisfies WorkerMessage);
});
