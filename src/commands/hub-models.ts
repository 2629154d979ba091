import { namedModels } from '../models/hub-models.js';
import { pullInChild } from '../models/pull/child-pull.js';
import type { PullProgress } from '../models/pull/pull.js';
import type { Config } from '../settings/config.js';
import { PullDisplay } from './pull-display.js';

/** Ctrl-C while models were being fetched. */
export class StoppedError extends Error {
  override readonly name = 'StoppedError';
}

/**
 * Fetches what the cache lacks of the models that `hub.models` names, several at once. Where the hub cannot be reached,
 * what the cache has is enough.
 *
 * @throws StoppedError after a signal; Error with a line for each model that cannot be had
 */
export async function fetchNamedModels(config: Config): Promise<void> {
  const models = namedModels(config['hub.models']);
  if (models.length === 0) return;
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.once(signal, onSignal);
  // The log has stdout for itself, as programs read it.
  const display = new PullDisplay(process.stderr);
  const results = await Promise.allSettled(
    models.map((model) => {
      const onProgress = (progress: PullProgress) => display.show(model, progress);
      const dtype = config['models.dtype'];
      return pullInChild({ model, dtype, signal: stop.signal, onProgress });
    }),
  );
  display.end();
  for (const signal of signals) process.off(signal, onSignal);
  if (stop.signal.aborted) throw new StoppedError('stopped; what was fetched so far is kept');
  const failures = results.flatMap((result, index) => {
    if (result.status === 'fulfilled') return [];
    const { reason } = result;
    const message = reason instanceof Error ? reason.message : String(reason);
    const model = models[index] ?? '';
    return message.includes(model) ? message : `${model}: ${message}`;
  });
  if (failures.length > 0) throw new Error(failures.join('\nplimsoll: '));
}
