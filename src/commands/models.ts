import { App } from '../app/app.js';
import { createLog } from '../app/log.js';
import { type CommonFlags, configFrom, printWarnings } from './flags.js';

/** `plimsoll models`: lists the models with what was measured of them; with `--prepare`, prepares them first. */
export async function listModels(flags: CommonFlags & { prepare: boolean }): Promise<number> {
  const { config, cpus, warnings } = await configFrom(flags);
  printWarnings(warnings);
  const log = createLog({ level: 'warn', format: 'pretty', isTerminal: false });
  const app = await App.create(config, cpus, log);
  try {
    const models = await app.describeModels({ prepare: flags.prepare });
    if (models.length === 0)
      process.stdout.write(`no models in ${app.modelsFolder ?? 'the hub’s cache'}\n`);
    for (const model of models) {
      const measured =
        model.mapped_mb === null
          ? 'not prepared yet'
          : `mapped ${mb(model.mapped_mb)}, opens in ${model.load_ms?.toFixed(0) ?? '?'} ms, takes ${mb(model.private_mb)} of its own`;
      const facts =
        model.state === 'broken'
          ? `broken: ${model.reason ?? ''}`
          : `${model.task}, ${model.labels.length} labels, ${model.dtype}, source ${mb(model.source_mb)}, ${measured}`;
      process.stdout.write(`${model.id}: ${facts}\n`);
    }
    // Nothing to serve is as wrong as something that cannot be served.
    return models.length === 0 || models.some(({ state }) => state === 'broken') ? 1 : 0;
  } finally {
    await app.stop();
    log.end();
  }
}

function mb(size: number | null): string {
  return `${size?.toFixed(1) ?? '?'} MB`;
}
