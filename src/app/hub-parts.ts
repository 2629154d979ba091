import { HubModels } from '../models/hub-models.js';
import { pullInChild } from '../models/pull/child-pull.js';
import { ModelPulls } from '../models/pulls.js';
import type { Assembly, Given } from './assembly.js';

/** The models of a hub that are served. */
export function hubModelsOf(
  { repository, preparer }: Pick<Assembly, 'repository' | 'preparer'>,
  { config, log }: Given,
): HubModels {
  return new HubModels({
    repository,
    named: config['hub.models'],
    dtype: config['models.dtype'],
    dataFolder: config.data,
    servesPulled: config['hub.pull'],
    prepare: (model) => preparer.ensure(model),
    warn: (line, facts) => log.warn(facts, line),
  });
}

/** Models that are fetched because somebody asked over HTTP. */
export function pullsOf(
  { hubModels, archive }: Pick<Assembly, 'hubModels' | 'archive'>,
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
