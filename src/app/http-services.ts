import { randomBytes } from 'node:crypto';
import { shownCache, shownCleared } from '../cache/shown.js';
import { toMb } from '../contract/units.js';
import type { HttpServices, ModelFacts } from '../http/services.js';
import { shownProcesses } from '../memory/process-ring.js';
import { shownReceipt } from '../memory/receipt.js';
import { shownReading } from '../memory/ring.js';
import { shownMemory } from '../memory/snapshot.js';
import type { Metrics } from '../metrics/metrics.js';
import type { Model } from '../models/intake/repository.js';
import { shownPool } from '../pools/shown.js';
import { shownSession } from '../sessions/shown.js';
import type { Config } from '../settings/config.js';
import { shownSettings } from '../settings/shown.js';
import type { Assembly } from './assembly.js';

/** The parts of the server as the routes need them: what they give is in the shapes of the contract. */
export function httpServices(
  parts: Assembly,
  config: Config,
  of: { readonly metrics: Metrics } & Pick<
    HttpServices,
    'keys' | 'keyCheck' | 'notReadyBecause' | 'degradedBecause'
  >,
): HttpServices {
  const { classification, workers, events, archive, proofs, pulls } = parts;
  return {
    ...{ classification, workers, events, archive, proofs, pulls },
    models: modelsOf(parts),
    sessions: sessionsOf(parts),
    memory: memoryOf(parts),
    cache: {
      figures: async () => shownCache(await parts.results.figures()),
      clear: async (tier) => shownCleared(await parts.results.clear(tier)),
    },
    jobs: parts.jobs.service,
    settings: shownSettings(config),
    pools: () => parts.pools.map(({ figures }) => shownPool(figures)),
    ...of,
    limits: {
      maxInputs: config['request.max_inputs'],
      deadlineMs: config['request.deadline_ms'],
      maxConnections: config['http.max_connections'],
    },
    userSecret: config['cache.secret'] || randomBytes(32).toString('hex'),
  };
}

function modelsOf({
  views,
  library,
  repository,
  classification,
}: Assembly): HttpServices['models'] {
  const factsOf = ({ id, dtype, description }: Model): ModelFacts => {
    const { task, labels, maxTokens, moderations } = description;
    return { id, dtype, task, labels, maxTokens, ...(moderations && { moderations }) };
  };
  const known = (id: string): ModelFacts | Promise<ModelFacts> => {
    // What preparing has found out counts, where it has been prepared.
    const model = library.readyNow(id)?.model ?? repository.known(id);
    return model === undefined ? repository.find(id).then(factsOf) : factsOf(model);
  };
  return {
    list: () => views.list(),
    show: (id) => views.show(id),
    labels: (id) => views.labels(id),
    tokenize: (id, inputs) => views.tokenize(id, inputs),
    load: (id) => views.load(id),
    unload: (id) => views.unload(id),
    facts: (name) => {
      const id = classification.idOf(name);
      return id instanceof Promise ? id.then(known) : known(id);
    },
  };
}

function sessionsOf({ sessions }: Assembly): HttpServices['sessions'] {
  return {
    open: (maxUsers) => shownSession(sessions.open(maxUsers)),
    list: () => sessions.list().map(shownSession).reverse(),
    find: (id) => {
      const session = sessions.find(id);
      return session === undefined ? undefined : shownSession(session);
    },
    end: async (id) => shownSession(await sessions.end(id)),
  };
}

function memoryOf({ memory }: Assembly): HttpServices['memory'] {
  const { reader } = memory;
  return {
    now: async () => {
      const snapshot = await reader.read();
      return shownMemory(snapshot, {
        load_line_mb: toMb(reader.loadLineBytes(snapshot)),
        pressure: reader.level,
        users_since_recycle: memory.usersSinceRecycle,
      });
    },
    cleanup: async () => {
      const options = { cause: 'asked for', session: null, stillUsed: () => false };
      return shownReceipt(await memory.cleanup(options));
    },
    recycle: async () => shownReceipt(await memory.recycle('asked for')),
    readings: (sinceMs) => reader.ring.since(sinceMs).map(shownReading),
    processes: (sinceMs) => shownProcesses(reader.processes.since(sinceMs)),
  };
}
