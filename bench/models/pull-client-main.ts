/** Fetches once, as the server's process for it does or with a plain `fetch`, when it is told to. */
import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { pullModel } from '../../src/models/pull/pull.js';

/** What it is told. */
export interface FetchOrder {
  readonly way: 'pull' | 'plain';
  readonly endpoint: string;
  readonly storage: string;
  readonly folder: string;
}

/** What it tells. */
export interface Fetched {
  readonly ms: number;
  /** Bytes of the weights that came over the network. */
  readonly bytes: number;
}

async function pull({ endpoint, folder }: FetchOrder): Promise<number> {
  let there = 0;
  let came = 0;
  await pullModel({
    settings: { endpoint, cacheFolder: folder, token: '', isOffline: false },
    ...{ model: 'org/name', dtype: 'auto', signal: new AbortController().signal },
    onProgress: (progress) => {
      if (progress.kind !== 'bytes' || progress.file !== 'model.safetensors') return;
      came += Math.max(0, progress.bytes - there);
      there = progress.bytes;
    },
  });
  return came;
}

async function plain({ storage, folder }: FetchOrder): Promise<number> {
  const reply = await fetch(`${storage}/blob/model.safetensors`);
  if (reply.body === null) throw new Error('the reply has no body');
  // On the disk at the end, as the pull has it too.
  const file = createWriteStream(path.join(folder, 'plain'), { flush: true });
  await pipeline(reply.body, file);
  return file.bytesWritten;
}

process.on('message', (order: FetchOrder) => {
  const begun = performance.now();
  void (order.way === 'pull' ? pull(order) : plain(order)).then((bytes) => {
    const fetched: Fetched = { ms: performance.now() - begun, bytes };
    process.send?.(fetched, () => process.disconnect());
  });
});
process.send?.('ready');
