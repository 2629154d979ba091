import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { modelProcessOptions } from '../../system/process/tuning.js';
import { HubError } from './hub-error.js';
import { hubSettings } from './hub-settings.js';
import { type PulledModel, type PullProgress, pullModel } from './pull.js';
import type { PullJob, PullMessage } from './pull-protocol.js';

/** A build has this module beside the one that it starts; sources are run from the build. */
const MODULE = fileURLToPath(new URL('./pull-main.js', import.meta.url));
/** After SIGTERM it closes its file and goes. */
const STOP_MS = 5000;
const LAST_WORDS = 2000;

export interface ChildPullOptions extends PullJob {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: PullProgress) => void;
  /** Module of the process, for tests that run sources. */
  readonly module?: string;
}

/**
 * Brings a model into the hub's cache in a process of its own. Offline there is nothing to fetch, and no process.
 *
 * @throws HubError, Error for what is no id
 */
export async function pullInChild(options: ChildPullOptions): Promise<PulledModel> {
  const settings = await hubSettings(process.env);
  if (settings.isOffline) return pullModel({ settings, ...options });
  const { model, signal } = options;
  if (signal.aborted) throw new HubError('stopped', `${model}: stopped`);
  return follow(options);
}

function follow({ model, dtype, signal, onProgress, module }: ChildPullOptions) {
  const job: PullJob = { model, dtype };
  const child = fork(module ?? MODULE, [JSON.stringify(job)], {
    ...modelProcessOptions(),
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let lastWords = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    lastWords = (lastWords + text).slice(-LAST_WORDS);
  });
  let timer: NodeJS.Timeout | undefined;
  const stop = () => {
    child.kill('SIGTERM');
    timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  };
  signal.addEventListener('abort', stop, { once: true });
  let last: PullMessage | undefined;
  child.on('message', (message: PullMessage) => {
    if (message.type === 'progress') onProgress(message.progress);
    else last = message;
  });
  return new Promise<PulledModel>((resolve, reject) => {
    child.on('error', reject);
    // Not before: until then it takes memory, and holds the lock of its file.
    child.on('close', (code, killedBy) => {
      if (last?.type === 'pulled') return resolve(last.pulled);
      if (last?.type === 'failed') return reject(new HubError(last.failure, last.message));
      const why = signal.aborted
        ? 'stopped; what is there is kept'
        : `its process ended (${killedBy ?? code}): ${lastWords.trim()}`;
      return reject(new HubError(signal.aborted ? 'stopped' : 'answer', `${model}: ${why}`));
    });
  }).finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  });
}
