import type { ServerResponse } from 'node:http';
import path from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { Heartbeat } from '../contract/fleet.js';
import type { ModelDetail } from '../contract/models.js';
import { messageOf } from '../errors.js';
import { chosenDoors } from '../http/doors/open-doors.js';
import { buildServer } from '../http/server.js';
import type { JobService } from '../jobs/service.js';
import { Metrics } from '../metrics/metrics.js';
import { runtimeKey } from '../models/compile/mapped-form.js';
import { type Config, poolLimits } from '../settings/config.js';
import { Store } from '../store/store.js';
import { readHostFacts } from '../system/host/host-facts.js';
import { affordedConnections, hostNotes } from '../system/host/host-notes.js';
import { type InheritedSocket, takeInheritedSockets } from '../system/process/inherited-sockets.js';
import { readSystem } from '../system/reading.js';
import { settledWithin } from '../system/time-limit.js';
import { VERSION } from '../version.js';
import { Access } from './access.js';
import { closeInterrupted } from './archive/interrupted.js';
import { Assembly, type Given } from './assembly.js';
import { ownHeartbeat, reachableAt } from './fleet/own-heartbeat.js';
import { httpServices } from './http-services.js';
import { listenAt, reachedAt, serverOptions } from './listening.js';
import type { Log, Logger } from './log.js';
import { observe } from './observed.js';

type AppState = 'starting' | 'ready' | 'stopping' | 'stopped';

/**
 * What each step of stopping may take, as a share of `shutdown.grace_ms`, in their order, beside what the steps before it have left
 * of theirs. Together they are less than all of it: the last one is reached whatever hangs before. What is left is for logs and
 * the exit itself.
 */
export const STOP_SHARES = {
  jobs: 0.08,
  // A stopping proof still ends its session over HTTP, before the server closes.
  proof: 0.15,
  pulls: 0.03,
  requests: 0.22,
  sessions: 0.14,
  // Nothing that hangs behind this may cost a record.
  'records so far': 0.08,
  fleet: 0.04,
  memory: 0.06,
  workers: 0.06,
  'queue of jobs': 0.03,
  Redis: 0.03,
  records: 0.06,
} as const;

type StopStep = keyof typeof STOP_SHARES;

/** What is left of a step for work that has a bound of its own within it. */
const INNER_SHARE = 0.6;

/** When a step has to be over, as a part of the grace time. */
export function stepEnds(name: StopStep): number {
  const steps = Object.entries(STOP_SHARES);
  const at = steps.findIndex(([step]) => step === name);
  return steps.slice(0, at + 1).reduce((sum, [, share]) => sum + share, 0);
}

/** What differs for programs that compose a server of their own. */
export type AppOptions = Pick<Given, 'folders' | 'stateFolder' | 'workerModule'>;

/** The whole server: starts and stops its parts in order. */
export class App {
  readonly #config: Config;
  readonly #log: Logger;
  readonly #metrics: Metrics;
  readonly #parts: Assembly;
  readonly #access: Access;
  #server: FastifyInstance | undefined;
  #state: AppState = 'starting';
  readonly #startedAtMs = Date.now();
  #address: string | null = null;
  #stopping: Promise<boolean> | undefined;
  #whenStarted: () => void = () => undefined;
  readonly #started = new Promise<void>((resolve) => {
    this.#whenStarted = resolve;
  });

  /**
   * Opens the database and identifies the CPU; nothing runs before {@link start}.
   *
   */
  static async create(
    config: Config,
    cpus: number,
    { logger: log, lostLines }: Log,
    options: AppOptions = {},
  ): Promise<App> {
    chosenDoors(config['http.doors']);
    const [system, runtime] = await Promise.all([
      readSystem(config['memory.system_root']),
      runtimeKey(),
    ]);
    const url = config['database.url'];
    const store =
      url === ''
        ? await Store.open(options.stateFolder ?? config.data)
        : await Store.connect(url, poolLimits(config, 'database'), config['database.schema']);
    const metrics = new Metrics();
    metrics.observeLog(lostLines);
    const { totalBytes } = system.server;
    const parts = new Assembly({
      ...{ config, totalBytes, cpus, log, store, runtime, metrics },
      ...options,
    });
    const { redis, fleet } = parts;
    // The fleet's heartbeats know it better than the cache, which gives up on Redis within milliseconds.
    const isRedisAway = () => (fleet.directory?.away ?? redis?.awayBecause ?? '') !== '';
    const access = new Access({ config, store, redis, isRedisAway, metrics, log });
    return new App({ config, log, metrics, parts, access });
  }

  private constructor(of: {
    readonly config: Config;
    readonly log: Logger;
    readonly metrics: Metrics;
    readonly parts: Assembly;
    readonly access: Access;
  }) {
    this.#config = of.config;
    this.#log = of.log;
    this.#metrics = of.metrics;
    this.#parts = of.parts;
    this.#access = of.access;
  }

  /**
   * Starts everything and listens.
   *
   * @returns the address it listens on.
   * @throws PlimsollError, Error if the models folder, the workers or the port are not available.
   */
  async start(): Promise<string> {
    // Before anything costs time: who forgot a key wants to know at once.
    const inherited = takeInheritedSockets();
    await this.#access.start(reachedAt(this.#config, inherited));
    return this.#listen(await this.#startParts(), inherited);
  }

  /**
   * Starts everything for jobs, and listens nowhere.
   *
   * @throws PlimsollError, Error if the models folder or the workers are not available.
   */
  async startForJobs(): Promise<JobService> {
    await this.#startParts();
    this.#state = 'ready';
    return this.#parts.jobs.service;
  }

  /** @returns connections that may be open */
  async #startParts(): Promise<number> {
    const { repository, forms, pool, memory, sessions, redis, archive, hubModels } = this.#parts;
    const { fleet } = this.#parts;
    await hubModels.open();
    await repository.scan();
    await forms.removeLeftovers();
    this.#warnOfSecret();
    this.#warnOfModels();
    const maxConnections = await this.#hearHost();
    await archive.start(() => void this.#closeInterrupted());
    await Promise.all([pool.start(), redis?.start()]);
    await memory.start();
    sessions.start();
    await fleet.start(sessions, () => this.#heartbeat());
    archive.keepEvent({ kind: 'server_started', text: `version ${VERSION}` });
    this.#whenStarted();
    observe(this.#parts, this.#metrics);
    await this.#parts.jobs.start();
    return maxConnections;
  }

  async #listen(maxConnections: number, inherited: readonly InheritedSocket[]): Promise<string> {
    // Asked to stop meanwhile: what has been started is being stopped, and nobody is to be let in.
    if (this.#stopping !== undefined) throw new Error('the start was given up');
    const keyCheck = this.#access.check(reachedAt(this.#config, inherited));
    this.#server = await buildServer(
      serverOptions(this.#config, inherited, { maxConnections, keys: keyCheck, logger: this.#log }),
      httpServices(this.#parts, this.#config, {
        metrics: this.#metrics,
        keys: this.#access.services,
        keyCheck,
        notReadyBecause: () => this.#notReadyBecause(),
        degradedBecause: () => this.#degradedBecause(),
      }),
    );
    const address = await listenAt(this.#server, this.#config, inherited, maxConnections);
    await this.#parts.proofs.start(address, this.#access.keys.own);
    this.#state = 'ready';
    this.#address = reachableAt(address);
    void this.#parts.fleet.beat();
    void this.#prepareAhead();
    return address;
  }

  /**
   * Says that it is not ready, and goes on taking requests for the drain time. Then stops taking them, finishes running ones, cleans up, ends the workers, closes the database. Each step has
   * a part of the grace time, so that the last ones are reached in any case.
   *
   * @returns whether everything has ended by itself; false if something was cut off.
   */
  stop(): Promise<boolean> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  get modelsFolder(): string | undefined {
    return this.#parts.repository.root;
  }

  /** Describes the models without a running server; prepares them first if asked to. */
  async describeModels(options: { readonly prepare: boolean }): Promise<readonly ModelDetail[]> {
    const { repository, library, memory, views, hubModels } = this.#parts;
    await hubModels.open();
    await Promise.all([repository.scan(), memory.reader.read()]);
    for (const model of options.prepare ? repository.list() : []) {
      await library.ready(model.id).catch((error: unknown) => {
        this.#log.warn({ model: model.id, reason: messageOf(error) }, 'a model cannot be used');
      });
    }
    if (options.prepare) await library.measured();
    const details: ModelDetail[] = [];
    for (const model of await views.list()) {
      // A folder whose name nothing finds again is told of as the list has it.
      const bare = { ...model, origin: null, aliases: [], decisions: [], verdict: null };
      details.push(model.state === 'broken' ? bare : await views.show(model.id).catch(() => bare));
    }
    return details;
  }

  async #stop(): Promise<boolean> {
    const { proofs, pulls, jobs, sessions, memory, preparer, pool, archive, redis } = this.#parts;
    const { fleet } = this.#parts;
    const graceMs = this.#config['shutdown.grace_ms'];
    let isComplete = true;
    let beganMs = performance.now();
    const leftOf = (name: StopStep) =>
      Math.max(0, beganMs + stepEnds(name) * graceMs - performance.now());
    const step = async (name: StopStep, work: Promise<unknown> | undefined) => {
      if (work === undefined || (await settledWithin(work, leftOf(name)))) return;
      isComplete = false;
      this.#log.warn(
        { step: name },
        'this has not ended in its part of the grace time: it is cut off',
      );
    };
    const within = (name: StopStep) => INNER_SHARE * leftOf(name);
    this.#state = 'stopping';
    archive.keepEvent({ kind: 'server_stopped', text: 'asked to stop' });
    void fleet.beat();
    const handedBack = jobs.stop();
    // Waited for after the drain: until then nobody would take its failure.
    handedBack.catch(() => undefined);
    await this.#drain();
    beganMs = performance.now();
    await step('jobs', handedBack);
    await step('proof', proofs.stop());
    await step('pulls', pulls.stop());
    await step('requests', this.#server?.close());
    await step('sessions', sessions.stop(within('sessions')));
    await step('records so far', archive.settled());
    await step('fleet', fleet.leave());
    await step('memory', memory.stop());
    preparer.stop();
    await step('workers', pool.stop(within('workers')));
    await step('queue of jobs', jobs.close());
    await step('Redis', redis?.stop());
    this.#access.keys.stop();
    await step('records', archive.close());
    this.#state = 'stopped';
    return isComplete;
  }

  /** Who balances requests sends some until it has looked at `/health/ready`; connections that are kept open end meanwhile. */
  async #drain(): Promise<void> {
    const drainMs = this.#config['shutdown.drain_ms'];
    if (this.#server === undefined || drainMs === 0) return;
    this.#server.server.prependListener('request', (_request, response: ServerResponse) => {
      response.shouldKeepAlive = false;
    });
    await new Promise((resolve) => setTimeout(resolve, drainMs));
  }

  /** What this server says of itself to the others of its fleet. */
  #heartbeat(): Heartbeat {
    const reason = this.#notReadyBecause();
    const states = { starting: 'starting', stopping: 'draining', stopped: 'draining' } as const;
    const state =
      this.#state === 'ready' ? (reason === '' ? 'ready' : 'not ready') : states[this.#state];
    return ownHeartbeat(this.#parts, this.#config, {
      ...{ id: this.#parts.fleet.id, state, reason, shards: this.#parts.jobs.shards },
      ...{ address: this.#address, startedAtMs: this.#startedAtMs },
    });
  }

  #notReadyBecause(): string {
    if (this.#state !== 'ready') return `the server is ${this.#state}`;
    const ready = this.#parts.pool.workers.some(({ state }) => state === 'ready');
    if (!ready) return 'no worker is ready';
    const { watch } = this.#parts.memory;
    return watch.state === 'stopped' ? watch.reason : '';
  }

  /** Faults that do not keep requests from being answered. */
  #degradedBecause(): readonly string[] {
    const { redis: tier, fleet } = this.#parts;
    // The fleet asks every second, the cache only when it needs Redis.
    const redis = tier?.awayBecause || (fleet.directory?.away ?? '');
    const { database, file } = this.#parts.archive.figures;
    const reasons: string[] = [];
    const what = fleet.directory === undefined ? 'results are' : 'results and sessions are';
    const { watch } = this.#parts.memory;
    const stale = this.#access.keys.staleBecause;
    if (stale !== '') reasons.push(stale);
    const blind = this.#parts.library.blindBecause;
    if (blind !== '') reasons.push(blind);
    if (watch.state !== 'fresh') reasons.push(watch.reason);
    if (redis !== '') reasons.push(`Redis does not answer, ${what} not shared: ${redis}`);
    if (database !== '') reasons.push(`the database takes no records: ${database}`);
    if (file !== '') reasons.push(`the file for records cannot be written: ${file}`);
    return reasons;
  }

  /** Runs once the database has the records of earlier runs and the memory manager has started. */
  async #closeInterrupted(): Promise<void> {
    await this.#started;
    const { archive, memory, sessions } = this.#parts;
    try {
      const slots = await archive.takeOver();
      const count = await closeInterrupted({
        archive,
        servers: [archive.server, ...slots.map(({ server }) => server)],
        isOurs: (id) => sessions.find(id) !== undefined,
        isShared: async (id) => (await this.#parts.fleet.elsewhere(id))?.state === 'open',
        cleanup: (session, job) => {
          const cause = 'session interrupted';
          return memory.cleanup({ cause, session, job, stillUsed: () => true });
        },
      });
      for (const slot of slots) slot.remove();
      if (count > 0) this.#log.warn({ count }, 'sessions of a server that died are closed');
    } catch (error) {
      // The next start finds them again.
      this.#log.error({ err: error }, 'sessions of a server that died could not be closed');
    }
  }

  /** Logs how the host treats our memory. @returns the connections that its limit of open files leaves room for */
  async #hearHost(): Promise<number> {
    const { data, 'memory.system_root': root, 'http.max_connections': wanted } = this.#config;
    const facts = await readHostFacts(await readSystem(root), path.join(data, 'mapped'), root);
    for (const { level, text } of hostNotes(facts, wanted)) this.#log[level](text);
    return affordedConnections(wanted, facts.openFiles);
  }

  #warnOfModels(): void {
    const { repository } = this.#parts;
    for (const { id, reason } of repository.listBroken()) {
      this.#log.warn({ model: id, reason }, 'a folder looks like a model and cannot be served');
    }
    if (repository.list().length > 0) return;
    this.#log.warn({ folder: repository.root }, 'there is no model that can be served');
  }

  #warnOfSecret(): void {
    if (this.#config['redis.url'] === '' || this.#config['cache.secret'] !== '') return;
    const line =
      'cache.secret is not set: what lies in Redis serves this run only, and no other server';
    this.#log.warn(line);
  }

  /** Prepares the models before their first request; a failure is logged and reported again on request. */
  async #prepareAhead(): Promise<void> {
    const { repository, library } = this.#parts;
    for (const model of repository.list()) {
      if (this.#state !== 'ready') return;
      await library.ready(model.id).catch((error: unknown) => {
        this.#log.warn({ model: model.id, reason: messageOf(error) }, 'a model cannot be used');
      });
    }
  }
}
