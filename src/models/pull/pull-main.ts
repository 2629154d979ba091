/**
 * A throw-away process that fetches one model: what the network code, the checksums and the buffers take is given back
 * with it, and the server's event loop runs undisturbed.
 */
import { messageOf } from '../../errors.js';
import { dieWithParent } from '../../system/process/parent-death.js';
import { HubError } from './hub-error.js';
import { hubSettings } from './hub-settings.js';
import { type PullProgress, pullModel } from './pull.js';
import type { PullJob, PullMessage } from './pull-protocol.js';

/** Time between two messages about the bytes of a file, ms. */
const TELL_MS = 200;

async function main(): Promise<void> {
  dieWithParent();
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => stop.abort());
  }
  // The parent is this same program: the job needs no check beyond being there.
  const job = JSON.parse(process.argv[2] ?? 'null') as PullJob;
  // The last figure of each file that was not told yet: also one after which nothing comes for a while.
  const untold = new Map<string, PullProgress>();
  const timer = setInterval(() => {
    for (const progress of untold.values()) tell({ type: 'progress', progress });
    untold.clear();
  }, TELL_MS);
  const begun = new Set<string>();
  try {
    const settings = await hubSettings(process.env);
    const pulled = await pullModel({
      ...{ settings, ...job, signal: stop.signal },
      onProgress: (progress) => {
        const isFirst = progress.kind === 'bytes' && !begun.has(progress.file);
        if ('file' in progress) {
          begun.add(progress.file);
          untold.delete(progress.file);
        }
        // The first one tells what an earlier attempt has left.
        if (progress.kind !== 'bytes' || isFirst) tell({ type: 'progress', progress });
        else untold.set(progress.file, progress);
      },
    });
    await tellLast({ type: 'pulled', pulled });
  } catch (error) {
    const failure = error instanceof HubError ? error.kind : 'answer';
    await tellLast({ type: 'failed', failure, message: messageOf(error) });
  } finally {
    clearInterval(timer);
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
