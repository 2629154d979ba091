/** The thread for Parquet: one question at a time; what it needs of the file, it asks the server for. */
import { parentPort } from 'node:worker_threads';
import { collectGarbage } from '../../../system/own-process.js';
import { ParquetDecoder } from './parquet-decoder.js';
import type { FromThread, ToThread } from './parquet-messages.js';

interface Wanted {
  readonly resolve: (buffer: ArrayBuffer) => void;
  readonly reject: (error: Error) => void;
}

/** After so many answers, of about a megabyte each: left alone, V8 would let the thread grow by tens of megabytes first. */
const ANSWERS_OF_COLLECTION = 4;

const wanted = new Map<number, Wanted>();
let ranges = 0;
let answers = 0;

function send(message: FromThread): void {
  parentPort?.postMessage(message);
}

const decoder = new ParquetDecoder((start, end) => {
  ranges += 1;
  const range = ranges;
  return new Promise((resolve, reject) => {
    wanted.set(range, { resolve, reject });
    send({ type: 'slice', range, start, end });
  });
});

function collectNowAndThen(): void {
  answers += 1;
  if (answers % ANSWERS_OF_COLLECTION === 0) collectGarbage();
}

// Where one range of several cannot be read, the library forgets the others: the answer has the reason.
process.on('unhandledRejection', () => undefined);

parentPort?.on('message', (message: ToThread) => {
  if (message.type !== 'range') {
    decoder
      .answer(message)
      .then(send, () => process.exit(1))
      .finally(collectNowAndThen);
    return;
  }
  const { resolve, reject } = wanted.get(message.range) ?? {};
  wanted.delete(message.range);
  if (message.buffer === undefined) reject?.(new Error('the file could not be read'));
  else resolve?.(message.buffer);
});
