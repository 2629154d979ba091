import { JobForgotten, type JobKey, type JobRecord, type Ledger } from '../engines/ledger.js';
import { storedJob } from '../engines/stored-job.js';
import type { JobState } from '../queue.js';
import type { JobsRedis } from './jobs-redis.js';

const FORGOTTEN_JOBS = 20;

/** KEYS: record, all, open. ARGV: id, time, request. */
const CREATE = `
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'created', ARGV[2], 'request', ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
return 1`;

/** KEYS: record, journal. ARGV: when the job was created, entries. */
const APPEND = `
if redis.call('HGET', KEYS[1], 'created') ~= ARGV[1] then return -1 end
for n = 2, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[n]) end
return redis.call('LLEN', KEYS[2])`;

/** KEYS: record, journal, open, ended. ARGV: id, length of the journal, time, how it ended, when it was created. */
const CLOSE = `
if redis.call('HGET', KEYS[1], 'created') ~= ARGV[5] then return 0 end
if redis.call('LLEN', KEYS[2]) ~= tonumber(ARGV[2]) then return 0 end
if redis.call('HSETNX', KEYS[1], 'ended', ARGV[4]) == 0 then return 0 end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZADD', KEYS[4], ARGV[3], ARGV[1])
return 1`;

/** KEYS: record, journal, open, ended. ARGV: id, entry, when the job was created. */
const REOPEN = `
if redis.call('HGET', KEYS[1], 'created') ~= ARGV[3] then return -1 end
redis.call('RPUSH', KEYS[2], ARGV[2])
redis.call('HDEL', KEYS[1], 'ended')
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZADD', KEYS[3], redis.call('HGET', KEYS[1], 'created'), ARGV[1])
return 1`;

/** KEYS: record, journal, open, ended, all. ARGV: id, when the job was created, when it begins anew. */
const RESTART = `
if redis.call('HGET', KEYS[1], 'created') ~= ARGV[2] then return 0 end
if redis.call('HDEL', KEYS[1], 'ended') == 0 then return 0 end
redis.call('HSET', KEYS[1], 'created', ARGV[3])
redis.call('UNLINK', KEYS[2])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1])
redis.call('ZADD', KEYS[5], ARGV[3], ARGV[1])
return 1`;

/** KEYS: record, journal, open, ended, all. ARGV: id, time. UNLINK frees a long journal beside. */
const REMOVE = `
local ended = redis.call('ZSCORE', KEYS[4], ARGV[1])
if not ended or tonumber(ended) >= tonumber(ARGV[2]) then return 0 end
redis.call('UNLINK', KEYS[1], KEYS[2])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1])
return 1`;

/** Jobs and journals in Redis: a hash and a list for each job, and their ids in order. Each change is one script. */
export class RedisLedger implements Ledger {
  readonly #redis: JobsRedis;
  readonly #prefix: string;

  constructor(redis: JobsRedis, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  start(): Promise<void> {
    return this.#redis.start();
  }

  async create({ id, request, createdAtMs }: Omit<JobRecord, 'ended'>): Promise<void> {
    const keys = [this.#record(id), this.#key('all'), this.#key('open')];
    await this.#redis.run(CREATE, keys, [id, String(createdAtMs), JSON.stringify(request)]);
  }

  async find(id: string): Promise<JobRecord | undefined> {
    const fields = ['HMGET', this.#record(id), 'request', 'created', 'ended'];
    const [request, created, ended] = await this.#redis.send<readonly (string | null)[]>(fields);
    if (typeof request !== 'string') return undefined;
    return storedJob({ id, request, createdAtMs: Number(created), ended: ended ?? null });
  }

  list(from: number, limit: number): Promise<readonly JobRecord[]> {
    return this.#found('ZREVRANGE', 'all', from, from + limit - 1);
  }

  open(): Promise<readonly JobRecord[]> {
    return this.#found('ZRANGE', 'open', 0, -1);
  }

  async countOpen(): Promise<number> {
    return Number(await this.#redis.send(['ZCARD', this.#key('open')]));
  }

  async append(job: JobKey, entries: readonly string[]): Promise<void> {
    const keys = [this.#record(job.id), this.#journal(job.id)];
    const length = await this.#redis.run(APPEND, keys, [String(job.createdAtMs), ...entries]);
    if (Number(length) < 0) throw new JobForgotten(job);
  }

  read(id: string, from: number, limit: number): Promise<readonly string[]> {
    return this.#redis.send(['LRANGE', this.#journal(id), String(from), String(from + limit - 1)]);
  }

  async close(state: JobState, entries: number): Promise<boolean> {
    const { id, endedAtMs, createdAtMs } = state;
    const numbers = [String(entries), String(endedAtMs ?? 0)];
    const values = [id, ...numbers, JSON.stringify(state), String(createdAtMs)];
    return Number(await this.#redis.run(CLOSE, this.#keysOf(id), values)) === 1;
  }

  async reopen(job: JobKey, entry: string): Promise<void> {
    const values = [job.id, entry, String(job.createdAtMs)];
    const done = await this.#redis.run(REOPEN, this.#keysOf(job.id), values);
    if (Number(done) < 0) throw new JobForgotten(job);
  }

  async restart({ id, createdAtMs: before }: JobKey, createdAtMs: number): Promise<boolean> {
    const keys = [...this.#keysOf(id), this.#key('all')];
    const values = [id, String(before), String(createdAtMs)];
    return Number(await this.#redis.run(RESTART, keys, values)) === 1;
  }

  async endedBefore(timeMs: number): Promise<readonly string[]> {
    const range = ['-inf', `(${timeMs}`, 'LIMIT', '0', String(FORGOTTEN_JOBS)];
    return this.#redis.send(['ZRANGEBYSCORE', this.#key('ended'), ...range]);
  }

  async remove(id: string, beforeMs: number): Promise<void> {
    await this.#redis.run(REMOVE, [...this.#keysOf(id), this.#key('all')], [id, String(beforeMs)]);
  }

  stop(): Promise<void> {
    return this.#redis.stop();
  }

  async #found(
    command: 'ZRANGE' | 'ZREVRANGE',
    kind: string,
    from: number,
    to: number,
  ): Promise<readonly JobRecord[]> {
    const ids = await this.#redis.send<readonly string[]>([
      ...[command, this.#key(kind), String(from), String(to)],
    ]);
    const records = await Promise.all(ids.map((id) => this.find(id)));
    return records.flatMap((record) => record ?? []);
  }

  #keysOf(id: string): readonly string[] {
    return [this.#record(id), this.#journal(id), this.#key('open'), this.#key('ended')];
  }

  #record(id: string): string {
    return this.#key(`job:${id}`);
  }

  #journal(id: string): string {
    return this.#key(`journal:${id}`);
  }

  /** Beside BullMQ’s keys, which are `prefix:queue:…`. */
  #key(name: string): string {
    return `${this.#prefix}:ledger:${name}`;
  }
}
