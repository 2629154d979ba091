import path from 'node:path';
import { App } from '../app/app.js';
import { createLog } from '../app/log.js';
import type { ModelDetail } from '../contract/models.js';
import { cachedCommits, cachedIds } from '../models/pull/cache-contents.js';
import { hubSettings } from '../models/pull/hub-settings.js';
import { type CommonFlags, configFrom, printWarnings } from './flags.js';

/** Digits of a commit that people read. */
const SHORT_COMMIT = 12;
/** Models of the hub's cache that are listed at most. */
const MOST_CACHED = 50;

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
      process.stdout.write(`${model.id}: ${facts}${originText(model, app.modelsFolder)}\n`);
    }
    await listCached(new Set(models.map(({ id }) => id)));
    // Nothing to serve is as wrong as something that cannot be served.
    return models.length === 0 || models.some(({ state }) => state === 'broken') ? 1 : 0;
  } finally {
    await app.stop();
    log.end();
  }
}

/** `, from org/name@0123456789ab of the hub, 438.0 MB on disk` */
function originText({ origin }: ModelDetail, root: string | undefined): string {
  if (origin === null) return '';
  const { hub_id, commit, folder, disk_mb } = origin;
  const from =
    hub_id === null
      ? `folder ${path.resolve(root ?? '', folder ?? '')}`
      : `${hub_id}@${commit?.slice(0, SHORT_COMMIT)} of the hub`;
  return `, from ${from}, ${mb(disk_mb)} on disk`;
}

/** Models in the hub's cache that these flags do not serve: somebody may look for them here. */
async function listCached(served: ReadonlySet<string>): Promise<void> {
  const { cacheFolder } = await hubSettings(process.env);
  const others = (await cachedIds(cacheFolder)).filter((id) => !served.has(id));
  for (const id of others.slice(0, MOST_CACHED)) {
    const commits = (await cachedCommits(cacheFolder, id)).map((of) => of.slice(0, SHORT_COMMIT));
    const of = commits.length === 0 ? 'not whole' : commits.join(', ');
    process.stdout.write(`${id}: in the hub's cache (${of}), not served: see serve --model\n`);
  }
  if (others.length > MOST_CACHED) {
    process.stdout.write(`and ${others.length - MOST_CACHED} more in ${cacheFolder}\n`);
  }
}

function mb(size: number | null): string {
  return `${size?.toFixed(1) ?? '?'} MB`;
}
