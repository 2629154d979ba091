import { hubSettings } from '../models/pull/hub-settings.js';
import { type PulledModel, type PullProgress, pullModel } from '../models/pull/pull.js';
import { type CommonFlags, configFrom } from './flags.js';
import { PullDisplay } from './pull-display.js';

/**
 * `plimsoll pull org/name[@revision] …`: brings models into the hub's cache, several at once.
 *
 * @returns 0 if all are there, 1 if one could not be had, 130 after Ctrl-C
 */
export async function pull(models: readonly string[], flags: CommonFlags): Promise<number> {
  const { config } = await configFrom(flags);
  const settings = await hubSettings(process.env);
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, onSignal);
  const display = new PullDisplay(process.stdout);
  const results = await Promise.allSettled(
    models.map((model): Promise<PulledModel> => {
      const onProgress = (progress: PullProgress) => display.show(model, progress);
      return pullModel({
        ...{ settings, model, onProgress, signal: stop.signal },
        dtype: config['models.dtype'],
      });
    }),
  );
  display.end();
  for (const [index, result] of results.entries()) {
    const model = models[index] ?? '';
    if (result.status === 'fulfilled') {
      process.stdout.write(`${model}: ${result.value.folder}\n`);
    } else {
      const { reason } = result;
      const message = reason instanceof Error ? reason.message : String(reason);
      process.stderr.write(`plimsoll: ${message.includes(model) ? '' : `${model}: `}${message}\n`);
    }
  }
  if (stop.signal.aborted) return 130;
  return results.every(({ status }) => status === 'fulfilled') ? 0 : 1;
}
