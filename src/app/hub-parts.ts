import type { Preparer } from '../models/compile/preparer.js';
import { HubModels } from '../models/hub-models.js';
import type { ModelRepository } from '../models/intake/repository.js';
import { pullInChild } from '../models/pull/child-pull.js';
import { ModelPulls } from '../models/pulls.js';
import type { Config } from '../settings/config.js';
import type { Archive } from './archive/archive.js';
import type { Logger } from './log.js';

interface Given {
  readonly config: Config;
  readonly log: Logger;
}

/** The models of a hub that are served. */
export function hubModelsOf(
  { repository, preparer }: { readonly repository: ModelRepository; readonly preparer: Preparer },
  { config, log }: Given,
): HubModels {
  return new HubModels({
    repository,
    named: config['hub.models'],
    dataFolder: config.data,
    servesPulled: config['hub.pull'],
    prepare: (model) => preparer.ensure(model),
    warn: (line, facts) => log.warn(facts, line),
  });
}

/** Models that are fetched because somebody asked over HTTP. */
export function pullsOf(
  { hubModels, archive }: { readonly hubModels: HubModels; readonly archive: Archive },
  { config, log }: Given,
): ModelPulls {
  return new ModelPulls({
    isAllowed: config['hub.pull'],
    maxRunning: config['hub.max_pulls'],
    maxWaiting: config['hub.max_waiting'],
    fetch: (model, signal, onProgress) =>
      pullInChild({ model, dtype: config['models.dtype'], signal, onProgress }),
    check: (id) => hubModels.check(id),
    join: (pulled) => hubModels.join(pulled),
    onEnd: ({ id, model, state, reason, commit }) => {
      log.info({ pull: id, model, state, commit, reason }, 'a pull has ended');
      const text = `${model} ${state === 'done' ? 'was fetched' : state}`;
      const why = reason === null ? '' : `: ${reason}`;
      archive.keepEvent({ kind: 'model_pulled', text: text + why, model });
    },
  });
}
