import { randomBytes } from 'node:crypto';
import { shownCache, shownCleared } from '../cache/shown.js';
import { toMb } from '../contract/units.js';
import { PlimsollError } from '../errors.js';
import type { HttpServices, ModelFacts } from '../http/services.js';
import { batchTokensOf } from '../inference/batch-inputs.js';
import { shownProcesses } from '../memory/process-ring.js';
import { shownReceipt } from '../memory/receipt.js';
import { shownReading } from '../memory/ring.js';
import { shownMemory } from '../memory/snapshot.js';
import type { Metrics } from '../metrics/metrics.js';
import type { Model } from '../models/intake/repository.js';
import { shownPool } from '../pools/shown.js';
import type { SharedSession } from '../sessions/fleet/directory.js';
import { elsewhereOf } from '../sessions/fleet/parts.js';
import type { SessionView } from '../sessions/session.js';
import { shownSession, shownShared } from '../sessions/shown.js';
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
  const { classification, workers, events, archive, proofs, pulls, fleet } = parts;
  return {
    ...{ classification, workers, events, archive, proofs, pulls, fleet },
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
      batch: {
        maxItems: config['batch.max_items'],
        maxTokens: batchTokensOf(config['batch.max_characters']),
      },
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
    tokenize: (id, inputs, abort, isWhole) => views.tokenize(id, inputs, abort, isWhole),
    load: (id) => views.load(id),
    unload: (id) => views.unload(id),
    facts: (name) => {
      const id = classification.idOf(name);
      return id instanceof Promise ? id.then(known) : known(id);
    },
  };
}

function sessionsOf(parts: Assembly): HttpServices['sessions'] {
  const { sessions, fleet } = parts;
  const { directory } = fleet;
  const show = (session: SessionView, of?: SharedSession) =>
    directory === undefined || session.shared === undefined
      ? shownSession(session)
      : shownShared(session, directory, of);
  return {
    open: async (maxUsers) => show(await sessions.openForAll(maxUsers)),
    list: () =>
      sessions
        .list()
        .map((session) => show(session))
        .reverse(),
    find: async (id) => {
      const own = sessions.find(id);
      if (own === undefined) return fleet.elsewhere(id);
      return own.shared === undefined
        ? shownSession(own)
        : show(own, await directory?.describe(id));
    },
    end: async (id) => {
      const own = await sessions.endForAll(id);
      if (own !== undefined && own.shared === undefined) return shownSession(own);
      const all = await fleet.cleaned(id);
      // A part that was over before has not recorded this end.
      const isRecorded = own !== undefined && own.shared?.left?.endedAtMs === all?.endedAtMs;
      if (all?.state === 'ended' && !isRecorded) fleet.keepEnded(all);
      if (own !== undefined) return show(own, all);
      const past = all === undefined ? await parts.archive.session(id) : elsewhereOf(all);
      if (past !== undefined) return past;
      throw new PlimsollError('SESSION_NOT_FOUND', `there is no session "${id.slice(0, 100)}"`);
    },
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
