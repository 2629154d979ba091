/**
 * A throw-away process that fetches one model: what the network code, the checksums and the buffers take is given back
 * with it, and the server's event loop runs undisturbed.
 */
import { messageOf } from '../../errors.js';
import { dieWithParent } from '../../system/process/parent-death.js';
import { HubError } from './hub-error.js';
import { hubSettings } from './hub-settings.js';
import { pullModel } from './pull.js';
import type { PullJob, PullMessage } from './pull-protocol.js';

/** Time between two messages about the bytes of one file, ms. */
const TELL_MS = 200;

async function main(): Promise<void> {
  dieWithParent();
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => stop.abort());
  }
  // The parent is this same program: the job needs no check beyond being there.
  const job = JSON.parse(process.argv[2] ?? 'null') as PullJob;
  const toldMs = new Map<string, number>();
  try {
    const settings = await hubSettings(process.env);
    const pulled = await pullModel({
      ...{ settings, ...job, signal: stop.signal },
      onProgress: (progress) => {
        if (progress.kind === 'bytes') {
          const now = performance.now();
          const isDue = now - (toldMs.get(progress.file) ?? Number.NEGATIVE_INFINITY) >= TELL_MS;
          if (!isDue && progress.bytes < progress.totalBytes) return;
          toldMs.set(progress.file, now);
        }
        tell({ type: 'progress', progress });
      },
    });
    await tellLast({ type: 'pulled', pulled });
  } catch (error) {
    const failure = error instanceof HubError ? error.kind : 'answer';
    await tellLast({ type: 'failed', failure, message: messageOf(error) });
  }
}

function tell(message: PullMessage): void {
  process.send?.(message);
}

/** Sends the last message and lets the process end. */
function tellLast(message: PullMessage): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      if (process.connected) process.disconnect();
      resolve();
    };
    if (process.send === undefined || !process.send(message, done)) done();
  });
}

await main();
