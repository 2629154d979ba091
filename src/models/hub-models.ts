import { readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, PlimsollError, systemCodeOf } from '../errors.js';
import { SettingError } from '../settings/setting.js';
import { hubOriginOf } from './intake/origin.js';
import type { Model, ModelRepository } from './intake/repository.js';
import { parseHubId } from './pull/hub-id.js';
import { hubSettings } from './pull/hub-settings.js';
import { findInCache, type PulledModel } from './pull/pull.js';

/** Names the models that were fetched over HTTP, one `org/name@commit` a line. */
const REMEMBERED = 'hub-models.txt';

export interface HubModelsOptions {
  readonly repository: ModelRepository;
  /** The setting `hub.models`. */
  readonly named: string;
  readonly dataFolder: string;
  /** Whether models that were fetched over HTTP are served: the setting `hub.pull`. */
  readonly servesPulled: boolean;
  /** Makes its mapped form. @throws PlimsollError MODEL_UNUSABLE, INSUFFICIENT_MEMORY */
  readonly prepare: (model: Model) => Promise<unknown>;
  readonly warn: (line: string, facts: Readonly<Record<string, unknown>>) => void;
}

/** The models of a hub that are served: those that the settings name, and those that were fetched over HTTP. */
export class HubModels {
  readonly #options: HubModelsOptions;
  readonly #file: string;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(options: HubModelsOptions) {
    this.#options = options;
    this.#file = path.join(options.dataFolder, REMEMBERED);
  }

  /**
   * Serves what the settings name and what was fetched earlier, as the cache has it: nothing is asked of the hub.
   *
   * @throws Error if the cache lacks one that is named in the settings
   */
  async open(): Promise<void> {
    const { repository, named, servesPulled, warn } = this.#options;
    for (const model of namedModels(named)) {
      const { id, folder } = await this.#inCache(model);
      repository.serve({ id, directory: folder, isLate: false });
    }
    for (const model of servesPulled ? await this.#remembered() : []) {
      try {
        const { id, folder } = await this.#inCache(model);
        if (repository.named(id) !== undefined) continue;
        repository.serve({ id, directory: folder, isLate: true });
      } catch (error) {
        warn('a model that was fetched earlier is not served', { model, err: error });
      }
    }
  }

  /**
   * @throws PlimsollError MODEL_EXISTS if something has that name that is no snapshot of this model, STORAGE_UNAVAILABLE if
   *    the models' disk hangs
   */
  async check(id: string): Promise<void> {
    const { repository } = this.#options;
    if (repository.named(id) !== undefined) return;
    try {
      if (hubOriginOf((await repository.find(id)).directory)?.id === id) return;
    } catch (error) {
      const code = error instanceof PlimsollError ? error.code : undefined;
      if (code === 'MODEL_NOT_FOUND') return;
      if (code === 'STORAGE_UNAVAILABLE') throw error;
    }
    const message = `a folder of this server has the name ${id} already: rename it, or remove it`;
    throw new PlimsollError('MODEL_EXISTS', message);
  }

  /**
   * Prepares a model that was fetched while the server runs, serves it, and remembers it for the next start. An earlier
   * revision of it is served until then.
   *
   * @throws PlimsollError MODEL_EXISTS, MODEL_UNUSABLE, INSUFFICIENT_MEMORY: then what was served before is served on
   */
  async join({ id, commit, folder }: PulledModel): Promise<void> {
    const { repository, prepare } = this.#options;
    const named = { id, directory: folder, isLate: repository.named(id)?.isLate ?? true };
    await prepare(await repository.read(named));
    // A folder of that name may have come meanwhile.
    await this.check(id);
    repository.serve(named);
    await repository.refresh(id);
    await this.#remember((models) => [
      ...models.filter((model) => parseHubId(model).id !== id),
      `${id}@${commit}`,
    ]);
  }

  async #inCache(model: string): Promise<PulledModel> {
    return findInCache(await hubSettings(process.env), model);
  }

  async #remembered(): Promise<readonly string[]> {
    return readRemembered(this.#file);
  }

  /** One change at a time, so that none is lost. */
  #remember(change: (models: readonly string[]) => readonly string[]): Promise<void> {
    const work = this.#writing.then(() => changeRemembered(this.#file, change));
    this.#writing = work.catch(() => undefined);
    return work;
  }
}

/** The models that the setting `hub.models` names. @throws SettingError for what is no id, and for two of one name */
export function namedModels(setting: string): readonly string[] {
  const models = setting
    .split(',')
    .map((model) => model.trim())
    .filter((model) => model !== '');
  const seen = new Map<string, string>();
  for (const model of new Set(models)) {
    const { id } = parsed(model);
    const other = seen.get(id);
    if (other !== undefined) {
      throw new SettingError(
        `hub.models: ${other} and ${model} have one name, ${id}: serve one revision of a model`,
      );
    }
    seen.set(id, model);
  }
  return [...seen.values()];
}

function parsed(model: string) {
  try {
    return parseHubId(model);
  } catch (error) {
    throw new SettingError(`hub.models: ${messageOf(error)}`);
  }
}

/** Takes a model out of those that were fetched over HTTP. */
export async function forgetRemembered(dataFolder: string, id: string): Promise<void> {
  const file = path.join(dataFolder, REMEMBERED);
  if ((await readRemembered(file)).length === 0) return;
  await changeRemembered(file, (models) => models.filter((model) => parseHubId(model).id !== id));
}

async function changeRemembered(
  file: string,
  change: (models: readonly string[]) => readonly string[],
): Promise<void> {
  const models = change(await readRemembered(file));
  await writeFile(`${file}.part`, models.map((model) => `${model}\n`).join(''));
  await rename(`${file}.part`, file);
}

async function readRemembered(file: string): Promise<readonly string[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (systemCodeOf(error) === 'ENOENT') return '';
    throw error;
  });
  // A line that a hand has spoilt is left out.
  return text.split('\n').filter((line) => {
    try {
      return line !== '' && parseHubId(line).id !== '';
    } catch {
      return false;
    }
  });
}
