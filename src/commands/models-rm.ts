import { type FormsFolder, formsOf, removeForms } from '../models/gone-forms.js';
import { forgetRemembered } from '../models/hub-models.js';
import { ModelRepository } from '../models/intake/repository.js';
import { cachedFolder, planRemoval, removeFromCache } from '../models/pull/cache-contents.js';
import { parseHubId } from '../models/pull/hub-id.js';
import { hubSettings } from '../models/pull/hub-settings.js';
import { confirm, type RemovalFlags } from './confirm.js';
import { type CommonFlags, configFrom } from './flags.js';

/**
 * `plimsoll models rm org/name[@revision]`: takes a model out of the hub's cache, with its mapped forms. A folder that
 * somebody put among the models is never removed.
 *
 * @returns 0 if it is gone, or would be with `--dry-run`; 1 if it, or one of its mapped forms, was not removed
 */
export async function removeModel(
  name: string,
  flags: CommonFlags & RemovalFlags,
): Promise<number> {
  const { config } = await configFrom(flags);
  const { cacheFolder } = await hubSettings(process.env);
  const wanted = parseHubId(name);
  const revision = name.includes('@') ? wanted.revision : undefined;
  const plan = await planRemoval(cacheFolder, { id: wanted.id, revision });
  if (plan === undefined)
    throw new Error(await whyNot(name, wanted.id, config.models, cacheFolder));
  // The forms of another revision of the same model are made anew when they are needed.
  const forms = await formsOf(config.data, wanted.id);
  const say = (line: string) => process.stdout.write(`${line}\n`);
  say(`${wanted.id} in ${cachedFolder(cacheFolder, wanted.id)}: ${mb(plan.bytes)} come free`);
  for (const commit of plan.commits) say(`  commit ${commit}: goes`);
  for (const commit of plan.kept) say(`  commit ${commit}: stays`);
  for (const form of forms) say(`  mapped form ${form.directory}: goes, ${mb(form.bytes)}`);
  say('Other programs that share this cache lose it too.');
  if (!(await confirm('Remove it?', flags))) return flags.dryRun === true ? 0 : 1;
  const gone = await removeFromCache(cacheFolder, { id: wanted.id, revision });
  if (gone?.kept.length === 0) await forgetRemembered(config.data, wanted.id);
  // Looked for again: the model may have been prepared while somebody thought about it.
  if (tellLeft(await removeForms(await formsOf(config.data, wanted.id)))) return 1;
  say(`${name}: removed`);
  return 0;
}

/** Says which mapped forms could not be removed. @returns whether there are any */
export function tellLeft(left: readonly FormsFolder[]): boolean {
  for (const { directory } of left) {
    process.stderr.write(
      `${directory} stays: its model is being prepared. When that is done, "plimsoll models prune" removes it\n`,
    );
  }
  return left.length > 0;
}

async function whyNot(
  name: string,
  id: string,
  models: string,
  cacheFolder: string,
): Promise<string> {
  const there = await new ModelRepository(models === '' ? undefined : models)
    .find(id)
    .catch(() => undefined);
  if (there === undefined) return `${name} is not in the hub's cache (${cacheFolder})`;
  return `${name} is a folder of yours, not of the hub's cache (${cacheFolder}): remove ${there.directory} yourself, then "plimsoll models prune" removes its mapped forms`;
}

export function mb(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MB`;
}
