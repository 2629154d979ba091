import { App } from '../app/app.js';
import { createLogger } from '../app/log.js';
import { type CommonFlags, configFrom, printWarnings } from './flags.js';

/** `plimsoll models`: lists the models with what was measured of them; with `--prepare`, prepares them first. */
export async function listModels(flags: CommonFlags & { prepare: boolean }): Promise<number> {
  const { config, cpus, warnings } = await configFrom(flags);
  printWarnings(warnings);
  const log = createLogger({ level: 'warn', format: 'pretty', isTerminal: false });
  const app = await App.create(config, cpus, log);
  try {
    const models = await app.describeModels({ prepare: flags.prepare });
    if (models.length === 0) process.stdout.write(`no models in ${app.modelsFolder}\n`);
    for (const model of models) {
      const measured =
        model.mappedBytes === null
          ? 'not prepared yet'
          : `mapped ${mb(model.mappedBytes)}, opens in ${model.loadMs?.toFixed(0) ?? '?'} ms, takes ${mb(model.privateBytes)} of its own`;
      const facts =
        model.state === 'broken'
          ? `broken: ${model.reason ?? ''}`
          : `${model.task}, ${model.labels.length} labels, ${model.dtype}, source ${mb(model.sourceBytes)}, ${measured}`;
      process.stdout.write(`${model.id}: ${facts}\n`);
    }
    return models.some(({ state }) => state === 'broken') ? 1 : 0;
  } finally {
    await app.stop();
  }
}

function mb(bytes: number | null): string {
  return bytes === null ? '? MB' : `${(bytes / 2 ** 20).toFixed(1)} MB`;
}
