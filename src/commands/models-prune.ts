import { BUNDLED_MODELS } from '../app/assembly.js';
import { formsOfOthers, removeForms } from '../models/gone-forms.js';
import { namedModels } from '../models/hub-models.js';
import { ModelRepository } from '../models/intake/repository.js';
import { cachedIds } from '../models/pull/cache-contents.js';
import { parseHubId } from '../models/pull/hub-id.js';
import { hubSettings } from '../models/pull/hub-settings.js';
import type { Config } from '../settings/config.js';
import { confirm, type RemovalFlags } from './confirm.js';
import { type CommonFlags, configFrom } from './flags.js';
import { mb, tellLeft } from './models-rm.js';

/**
 * `plimsoll models prune`: removes the mapped forms of models that are gone. It takes the flags of the server, as these
 * say which models there are.
 *
 * @returns 0 if none is left, or with `--dry-run`; 1 if they were not removed
 */
export async function pruneForms(flags: CommonFlags & RemovalFlags): Promise<number> {
  const { config } = await configFrom(flags);
  const gone = await formsOfOthers(config.data, await knownIds(config));
  const say = (line: string) => process.stdout.write(`${line}\n`);
  if (gone.length === 0) {
    say(`every mapped form in ${config.data} is of a model that is there`);
    return 0;
  }
  for (const { directory, bytes } of gone) say(`${directory}: ${mb(bytes)}`);
  const bytes = gone.reduce((sum, form) => sum + form.bytes, 0);
  say(
    `${gone.length} of models that are gone, ${mb(bytes)}; a model that comes back is prepared anew`,
  );
  if (!(await confirm('Remove them?', flags))) return flags.dryRun === true ? 0 : 1;
  if (tellLeft(await removeForms(gone))) return 1;
  say('removed');
  return 0;
}

/**
 * Ids of every model that there is: bundled, in the models folder (broken ones too: they may be mended), named, or in
 * the hub's cache.
 *
 * @throws PlimsollError NOT_FOUND if the models folder is not there: then nothing may be taken for gone
 */
async function knownIds(config: Config): Promise<readonly string[]> {
  const { cacheFolder } = await hubSettings(process.env);
  const ids = [...(await cachedIds(cacheFolder))];
  for (const model of namedModels(config['hub.models'])) ids.push(parseHubId(model).id);
  for (const root of [BUNDLED_MODELS, ...(config.models === '' ? [] : [config.models])]) {
    const repository = new ModelRepository(root);
    await repository.scan();
    ids.push(...[...repository.list(), ...repository.listBroken()].map(({ id }) => id));
  }
  return ids;
}
