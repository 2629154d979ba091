import { messageOf } from '../errors.js';
import { HubModels } from '../models/hub-models.js';
import { pullInChild } from '../models/pull/child-pull.js';
import { ModelPulls } from '../models/pulls.js';
import type { Assembly, Given } from './assembly.js';

/** The models of a hub that are served. */
export function hubModelsOf(
  { repository }: Pick<Assembly, 'repository'>,
  { config, log }: Given,
): HubModels {
  return new HubModels({
    repository,
    named: config['hub.models'],
    dtype: config['models.dtype'],
    dataFolder: config.data,
    servesPulled: config['hub.pull'],
    warn: (line, facts) => log.warn(facts, line),
  });
}

/** Models that are fetched because somebody asked over HTTP. */
export function pullsOf(
  { hubModels, library, archive }: Pick<Assembly, 'hubModels' | 'library' | 'archive'>,
  { config, log }: Given,
): ModelPulls {
  return new ModelPulls({
    isAllowed: config['hub.pull'],
    maxRunning: config['hub.max_pulls'],
    maxWaiting: config['hub.max_waiting'],
    fetch: (model, signal, onProgress) =>
      pullInChild({ model, dtype: config['models.dtype'], signal, onProgress }),
    check: (id) => hubModels.check(id),
    join: async (pulled) => {
      await hubModels.join(pulled);
      // Its first request need not wait; a failure is told of on request.
      void library.ready(pulled.id).catch((error: unknown) => {
        log.warn({ model: pulled.id, reason: messageOf(error) }, 'a model cannot be used');
      });
    },
    onEnd: ({ id, model, state, reason, commit }) => {
      log.info({ pull: id, model, state, commit, reason }, 'a pull has ended');
      const text = `${model} ${state === 'done' ? 'was fetched' : state}`;
      const why = reason === null ? '' : `: ${reason}`;
      archive.keepEvent({ kind: 'model_pulled', text: text + why, model });
    },
  });
}
