import { randomUUID } from 'node:crypto';
import type { IQueueBackend, Job, QueueOptions, WorkerOptions } from 'bullmq';
import { messageOf } from '../../../errors.js';
import type { Deliveries, Delivery, Task, TaskState } from '../engines/deliveries.js';

export type Bull = typeof import('bullmq');

/** One connection, or one pool of them, that all queues of BullMQ share. */
export interface BullRoot {
  readonly bull: Bull;
  readonly backend: IQueueBackend;
  close(): Promise<void>;
}

export interface BullDeliveriesOptions {
  /** Opens the connection; asked again if it failed. */
  readonly connect: (settings: WorkerSettings) => Promise<BullRoot>;
  /** Name under which this server is shown. */
  readonly server: string;
  readonly lockMs: number;
}

/** What BullMQ’s backend reads when it gives a job to a worker, and when it looks for stalled ones. */
export type WorkerSettings = Pick<
  WorkerOptions,
  'lockDuration' | 'stalledInterval' | 'maxStalledCount'
>;

/** A task as BullMQ gave it: the queue it is in, and the token of its lock. */
interface BullDelivery extends Delivery {
  readonly lane: string;
  readonly token: string;
  readonly job: Job;
}

type Lane = ReturnType<typeof newLane>;

/** Planning and manifests of all jobs. */
const STEPS = 'steps';
/** Events that BullMQ keeps for each queue: nobody reads them. */
const EVENTS_KEPT = 10;
const LANES_KEPT = 100;
/** A lost lock is for our own rule of attempts: BullMQ itself gives none up. */
const ANY_NUMBER = 1_000_000;
const OBLITERATED_AT_ONCE = 500;

/**
 * Tasks in BullMQ, on Redis or on PostgreSQL. The shards of each job are a queue of their own, so that a server can choose the job
 * before it takes a shard. Jobs are fetched by hand, without BullMQ’s worker loop: it takes whatever comes next.
 */
export class BullDeliveries implements Deliveries {
  readonly #options: BullDeliveriesOptions;
  readonly #lanes = new Map<string, Lane>();
  readonly #settings: WorkerSettings;
  #root: Promise<BullRoot> | undefined;
  #recoveredAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: BullDeliveriesOptions) {
    this.#options = options;
    this.#settings = {
      lockDuration: options.lockMs,
      stalledInterval: Math.max(100, options.lockMs / 2),
      maxStalledCount: ANY_NUMBER,
    };
  }

  async start(): Promise<void> {}

  async offer(tasks: readonly Task[]): Promise<void> {
    const lanes = new Map<string, Task[]>();
    for (const task of tasks) {
      const lane = laneOf(task);
      lanes.set(lane, [...(lanes.get(lane) ?? []), task]);
    }
    for (const [name, some] of lanes) {
      const lane = await this.#lane(name);
      const jobs = some.map((task) => ({
        name: task.kind,
        data: task.kind === 'shard' ? {} : { job: task.job },
        opts: { jobId: idOf(task) },
      }));
      try {
        await lane.addBulk(jobs);
      } catch {
        // A Redis that was started anew has lost BullMQ’s scripts; a single command loads them again, a transaction does not.
        for (const { name: kind, data, opts } of jobs) await lane.add(kind, data, opts);
      }
    }
  }

  takeStep(): Promise<Delivery | undefined> {
    return this.#take(STEPS, undefined);
  }

  takeShard(job: string): Promise<Delivery | undefined> {
    return this.#take(laneOf({ job, kind: 'shard' }), job);
  }

  async renew(held: readonly Delivery[]): Promise<readonly Delivery[]> {
    const lanes = new Map<string, BullDelivery[]>();
    for (const delivery of held) {
      if (!isBull(delivery)) continue;
      lanes.set(delivery.lane, [...(lanes.get(delivery.lane) ?? []), delivery]);
    }
    const lost: Delivery[] = [];
    for (const [name, some] of lanes) {
      const backend = await this.#backend(name);
      const ids = some.map(({ job }) => job.id ?? '');
      const tokens = some.map(({ token }) => token);
      const gone = new Set(await backend.extendLocks(ids, tokens, this.#options.lockMs));
      lost.push(...some.filter(({ job }) => gone.has(job.id ?? '')));
    }
    return lost;
  }

  async settle(delivery: Delivery): Promise<void> {
    const { job, token, lane } = bullOf(delivery);
    const backend = await this.#backend(lane);
    await unlessLost(backend.moveToCompleted(job, null, true, token, false));
  }

  async failed(delivery: Delivery, reason: string, pauseMs: number): Promise<void> {
    const { job, token, lane } = bullOf(delivery);
    const backend = await this.#backend(lane);
    const fieldsToUpdate = { failedReason: reason };
    await unlessLost(
      backend.moveToDelayed(job.id ?? '', Date.now(), pauseMs, token, { fieldsToUpdate }),
    );
  }

  async putBack(delivery: Delivery, pauseMs = 0): Promise<void> {
    const { job, token, lane } = bullOf(delivery);
    const backend = await this.#backend(lane);
    const id = job.id ?? '';
    await unlessLost(
      pauseMs === 0
        ? backend.moveJobFromActiveToWait(id, token)
        : backend.moveToDelayed(id, Date.now(), pauseMs, token, { skipAttempt: true }),
    );
  }

  /** BullMQ notices a lost lock at its second look, half a lock’s time after the first. */
  async recover(jobs: readonly string[]): Promise<void> {
    const now = performance.now();
    if (now - this.#recoveredAtMs < this.#options.lockMs / 4) return;
    this.#recoveredAtMs = now;
    await (await this.#backend(STEPS)).moveStalledJobsToWait();
    for (const job of jobs) {
      const lane = await this.#lane(laneOf({ job, kind: 'shard' }));
      await lane.getBackend().moveStalledJobsToWait();
      // BullMQ pauses what it obliterates. A server that was lost between the two, before the job began anew, left it paused.
      if (await lane.isPaused()) await lane.resume();
    }
  }

  async running(job: string): Promise<number> {
    return (await this.runningShards(job)).length;
  }

  async runningShards(job: string): Promise<readonly number[]> {
    const backend = await this.#backend(laneOf({ job, kind: 'shard' }));
    const [ids = []] = await backend.getRanges(['active'], 0, -1, true);
    return ids.map(shardOf);
  }

  async look(job: string, shards: readonly number[]): Promise<ReadonlyMap<number, TaskState>> {
    const backend = await this.#backend(laneOf({ job, kind: 'shard' }));
    const running = new Set(await this.runningShards(job));
    const found = await Promise.all(
      shards.map(async (shard) => {
        const data = await backend.getJobData(idOf({ job, kind: 'shard', shard }));
        if (data === undefined) return [];
        const failedAttempts = (data.attemptsMade ?? 0) + (data.stalledCounter ?? 0);
        const state = running.has(shard) ? ('running' as const) : ('waiting' as const);
        const reason = data.failedReason ?? null;
        const server = data.processedBy ?? null;
        return [[shard, { state, failedAttempts, reason, server }] as const];
      }),
    );
    return new Map(found.flat());
  }

  async drop(job: string): Promise<void> {
    const name = laneOf({ job, kind: 'shard' });
    const lane = await this.#lane(name);
    try {
      await lane.obliterate({ force: true, count: OBLITERATED_AT_ONCE });
    } catch (error) {
      // Another server did so at the same time.
      if (!/non-paused/.test(messageOf(error))) throw error;
    }
    this.#lanes.delete(name);
  }

  async stop(): Promise<void> {
    const root = await this.#root?.catch(() => undefined);
    this.#root = undefined;
    this.#lanes.clear();
    await root?.close();
  }

  async #take(name: string, job: string | undefined): Promise<Delivery | undefined> {
    const { bull } = await this.#connected();
    const lane = await this.#lane(name);
    const token = randomUUID();
    const [data, id] = await lane.getBackend().moveToActive(token, this.#options.server);
    if (!data || typeof data !== 'object') return undefined;
    const taken: Job = bull.Job.fromJSON(lane, data, id);
    const { attemptsMade, stalledCounter, failedReason } = taken;
    const task: Task =
      job === undefined
        ? {
            job: String(taken.data.job),
            kind: taken.name === 'plan' ? 'plan' : 'finish',
            shard: -1,
          }
        : { job, kind: 'shard', shard: shardOf(taken.id ?? '') };
    const delivery: BullDelivery = {
      ...{ task, failedAttempts: attemptsMade, lostMachines: stalledCounter },
      ...{ reason: failedReason ?? null, lane: name, token, job: taken },
    };
    return delivery;
  }

  /** The queue of that name, over the connection that all share. */
  async #lane(name: string): Promise<Lane> {
    const { bull, backend } = await this.#connected();
    const known = this.#lanes.get(name);
    const lane = known ?? newLane(bull, backend, name);
    this.#lanes.delete(name);
    this.#lanes.set(name, lane);
    for (const oldest of this.#lanes.keys()) {
      if (this.#lanes.size <= LANES_KEPT) break;
      this.#lanes.delete(oldest);
    }
    return lane;
  }

  async #backend(name: string): Promise<IQueueBackend> {
    return (await this.#lane(name)).getBackend();
  }

  #connected(): Promise<BullRoot> {
    this.#root ??= this.#options.connect(this.#settings).catch((error: unknown) => {
      this.#root = undefined;
      throw error;
    });
    return this.#root;
  }
}

function newLane(bull: Bull, backend: IQueueBackend, name: string) {
  const options: QueueOptions = {
    connection: {},
    defaultJobOptions: { removeOnComplete: true },
    streams: { events: { maxLen: EVENTS_KEPT } },
  };
  const lane = new bull.Queue(name, options, () => backend.forQueue(name));
  lane.on('error', () => undefined);
  return lane;
}

function laneOf({ job, kind }: Pick<Task, 'job' | 'kind'>): string {
  return kind === 'shard' ? `job-${job}` : STEPS;
}

/** BullMQ takes no id that is a number. */
function idOf({ job, kind, shard }: Task): string {
  return kind === 'shard' ? `s${shard}` : `${kind}-${job}`;
}

function shardOf(id: string): number {
  return Number(id.slice(1));
}

function isBull(delivery: Delivery): delivery is BullDelivery {
  return 'token' in delivery;
}

function bullOf(delivery: Delivery): BullDelivery {
  if (isBull(delivery)) return delivery;
  throw new Error('a task of another engine');
}

/** Of BullMQ: the job is gone, its lock is, it is not active, or the lock is another machine’s. */
const LOST_CODES: readonly unknown[] = [-1, -2, -3, -6];

/** What was given to another machine meanwhile is that one’s now: there is nothing to do. */
async function unlessLost(move: Promise<unknown>): Promise<void> {
  try {
    await move;
  } catch (error) {
    const isLost = error instanceof Error && 'code' in error && LOST_CODES.includes(error.code);
    if (!isLost) throw error;
  }
}
