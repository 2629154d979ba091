import os from 'node:os';
import { messageOf, PlimsollError } from '../../errors.js';
import type { PlacesOptions } from '../../jobs/files/places.js';
import { RunningRows } from '../../jobs/progress.js';
import { openQueue } from '../../jobs/queue/open-queue.js';
import type { JobQueue, JobWork } from '../../jobs/queue/queue.js';
import { JobService } from '../../jobs/service.js';
import type { Metrics } from '../../metrics/metrics.js';
import type { SessionRegistry } from '../../sessions/registry.js';
import type { ClassificationService } from '../../sessions/service.js';
import type { Config } from '../../settings/config.js';
import type { Store } from '../../store/store.js';
import type { Archive } from '../archive/archive.js';
import type { Logger } from '../log.js';
import { type JobModelParts, ServerModels } from './job-models.js';
import type { JobTools } from './job-tools.js';

interface Given {
  readonly config: Config;
  readonly store: Store;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Folders that jobs may use; by default `jobs.folders`. */
  readonly folders?: 'any';
}

interface Parts extends JobModelParts {
  readonly sessions: SessionRegistry;
  readonly classification: ClassificationService;
  readonly archive: Archive;
}

/** Bulk jobs on this server: what callers ask of them, and its share of the work. */
export class Jobs {
  readonly #parts: Parts;
  readonly #given: Given;
  readonly #server: string;
  readonly #models: ServerModels;
  readonly #progress: RunningRows;
  #shards = 0;
  #tools: Promise<JobTools> | undefined;
  #open: { readonly queue: JobQueue; readonly service: JobService } | undefined;

  constructor(parts: Parts, given: Given) {
    const { config, metrics } = given;
    this.#parts = parts;
    this.#given = given;
    this.#server = config['server.name'] || os.hostname();
    this.#models = new ServerModels(parts);
    this.#progress = new RunningRows((rows, bad) => metrics.jobs.ran(rows, bad));
  }

  /** @throws PlimsollError SHUTTING_DOWN before the start */
  get service(): JobService {
    if (this.#open !== undefined) return this.#open.service;
    throw new PlimsollError('SHUTTING_DOWN', 'the queue of jobs is not open yet');
  }

  /**
   * Opens the queue and begins to work.
   *
   * @throws PlimsollError if the queue’s engine is not fit for it
   */
  async start(): Promise<void> {
    const { config, log, store } = this.#given;
    const queue = await openQueue({
      ...{ config, database: store.database, server: this.#server },
      owner: this.#parts.archive.server,
      onError: (error) => log.error({ err: error }, 'the queue of jobs has a fault'),
    });
    await queue.start();
    const { classification } = this.#parts;
    const service = new JobService({
      ...{ queue, models: this.#models },
      places: async () => (await this.#opened()).places,
      progress: this.#progress,
      modelOf: (name) => classification.idOf(name),
      works: config['server.role'] !== 'door',
    });
    this.#open = { queue, service };
    queue.onEvent(({ job, kind }) => {
      if (kind === 'created' || kind === 'ended') log.info({ job }, `job ${kind}`);
    });
    if (config['server.role'] === 'door') return;
    const work = counted(this.#work(), (by) => {
      this.#shards += by;
    });
    queue.work(work, config['jobs.at_once']);
  }

  /** Shards that run here now. */
  get shards(): number {
    return this.#shards;
  }

  #work(): JobWork {
    const runner = async () => (await this.#opened()).runner;
    return {
      whyNotTake: ({ request, model }) => this.#models.whyNot(request.model ?? '', model),
      pin: async (job) => (await runner()).pin(job),
      plan: async function* (job, signal) {
        yield* (await runner()).plan(job, signal);
      },
      run: async (job, shard, signal) => (await runner()).run(job, shard, signal),
      finish: async (job, shards, signal) => (await runner()).finish(job, shards, signal),
    };
  }

  /** Most servers never have a job: what jobs need is loaded with the first one. */
  #opened(): Promise<JobTools> {
    this.#tools ??= this.#openTools().catch((error: unknown) => {
      // Too many open files, say: the next one may succeed.
      this.#tools = undefined;
      throw error;
    });
    return this.#tools;
  }

  async #openTools(): Promise<JobTools> {
    const { openJobTools } = await import('./job-tools.js');
    const { sessions } = this.#parts;
    return openJobTools(placesOf(this.#given), {
      ...{ models: this.#models, server: this.#server, progress: this.#progress },
      openSession: (user, model) => shardSession(sessions, user, model),
    });
  }

  /** Hands back what runs. */
  async stop(): Promise<void> {
    await this.#open?.queue.stopWork();
  }

  async close(): Promise<void> {
    const tools = await this.#tools?.catch(() => undefined);
    for (const part of [this.#open?.queue, tools?.formats, tools?.places]) {
      await part?.close().catch((error: unknown) => {
        this.#given.log.warn({ reason: messageOf(error) }, 'jobs were not closed as they should');
      });
    }
  }
}

/** The same work; tells of each shard when it begins and when it is over. */
function counted(work: JobWork, count: (by: 1 | -1) => void): JobWork {
  return {
    whyNotTake: (job) => work.whyNotTake(job),
    pin: (job) => work.pin(job),
    plan: (job, signal) => work.plan(job, signal),
    run: async (job, shard, signal) => {
      count(1);
      try {
        return await work.run(job, shard, signal);
      } finally {
        count(-1);
      }
    },
    finish: (job, shards, signal) => work.finish(job, shards, signal),
  };
}

function placesOf({ config, folders }: Given): PlacesOptions {
  return {
    s3: {
      endpoint: config['jobs.s3.endpoint'] || undefined,
      region: config['jobs.s3.region'],
      addressing: config['jobs.s3.addressing'],
      environment: process.env,
    },
    folders: folders ?? listed(config['jobs.folders']),
    privateAddresses: config['jobs.private_addresses'],
  };
}

function listed(text: string): readonly string[] {
  return text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
}

/** A shard is one request of one user in a session of its own. */
function shardSession(sessions: SessionRegistry, user: string, model: string) {
  const { id } = sessions.open(1);
  const seat = sessions.enter(id, user, model);
  return {
    end: async (succeeded: boolean) => {
      seat.leave(succeeded);
      await sessions.end(id);
    },
  };
}
