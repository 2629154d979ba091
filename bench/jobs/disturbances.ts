/** A fleet whose servers, Redis and PostgreSQL are killed or cut off in turn. */
import { PostgresqlServer } from '../../test/servers/postgresql.js';
import { RedisServer } from '../../test/servers/redis.js';
import { Relay } from '../../test/servers/relay.js';
import type { Context } from '../harness/benchmark.js';
import { bundledModel } from '../harness/models.js';
import { serverProgramOf } from '../harness/programs/test-servers.js';
import { type StartedServer, startServer } from '../harness/server.js';
import { mulberry32 } from '../synthetic/random.js';

const SERVERS = 3;
const BETWEEN_MS = 5000;
/** What is killed or cut off stays away for so long: some end before a shard's lock does, others after it. */
const AWAY_MS = { least: 1000, most: 6000 };
export const LOCK_MS = 3000;
/** The same order of disturbances, and the same lengths, in each run. */
const SEED = 19;

const KINDS = ['server', 'Redis', 'PostgreSQL'] as const;
const WAYS = ['killed', 'cut off'] as const;
export type Disturbance = `${(typeof KINDS)[number]} ${(typeof WAYS)[number]}`;
export const DISTURBANCES: readonly Disturbance[] = WAYS.flatMap((way) =>
  KINDS.map((kind): Disturbance => `${kind} ${way}`),
);

/** A server whose connections to Redis and to PostgreSQL can be cut. */
interface Member {
  readonly server: StartedServer;
  readonly toRedis: Relay;
  readonly toDatabase: Relay;
}

export class ChaosFleet {
  readonly #context: Context;
  readonly #folder: string;
  readonly #redis: RedisServer;
  readonly #database: PostgresqlServer;
  #members: Member[] = [];

  private constructor(
    context: Context,
    folder: string,
    redis: RedisServer,
    database: PostgresqlServer,
  ) {
    this.#context = context;
    this.#folder = folder;
    this.#redis = redis;
    this.#database = database;
  }

  static async start(context: Context, folder: string): Promise<ChaosFleet> {
    const redis = await RedisServer.start(await serverProgramOf('redis'), 'kept');
    context.defer(() => redis.stop());
    const database = await PostgresqlServer.start(await serverProgramOf('postgresql'));
    context.defer(() => database.stop());
    const fleet = new ChaosFleet(context, folder, redis, database);
    for (let n = 0; n < SERVERS; n += 1) await fleet.#startOne();
    return fleet;
  }

  /** The one that started last. */
  get last(): StartedServer | undefined {
    return this.#members.at(-1)?.server;
  }

  async stop(): Promise<void> {
    for (const { server } of this.#members) await server.stop();
  }

  /**
   * Every five seconds one of the six disturbances, in an order that is random but has each of them once in six. What was killed comes
   * back, what was cut off is joined again.
   *
   * @param onEach told when one begins
   */
  async disturb(onEach: (what: Disturbance) => void, isOver: () => boolean): Promise<void> {
    const random = mulberry32(SEED);
    let deck: Disturbance[] = [];
    for (;;) {
      await pause(BETWEEN_MS);
      if (isOver()) return;
      if (deck.length === 0) deck = shuffled(DISTURBANCES, random);
      const what = deck.pop();
      if (what === undefined) return;
      onEach(what);
      const awayMs = AWAY_MS.least + (random() % (AWAY_MS.most - AWAY_MS.least));
      await this.#do(what, awayMs, random);
    }
  }

  async #do(what: Disturbance, awayMs: number, random: () => number): Promise<void> {
    const relays = this.#members.map(({ toRedis, toDatabase }) => ({ toRedis, toDatabase }));
    const one = this.#members[random() % this.#members.length];
    switch (what) {
      case 'server killed':
        if (one !== undefined) await this.#replace(one, awayMs);
        return;
      case 'server cut off':
        return cutOff(one === undefined ? [] : [one.toRedis, one.toDatabase], awayMs, random);
      case 'Redis cut off':
        return cutOff(
          relays.map(({ toRedis }) => toRedis),
          awayMs,
          random,
        );
      case 'PostgreSQL cut off':
        return cutOff(
          relays.map(({ toDatabase }) => toDatabase),
          awayMs,
          random,
        );
      default: {
        const store = what === 'Redis killed' ? this.#redis : this.#database;
        await store.kill();
        await pause(awayMs);
        await store.restart();
      }
    }
  }

  async #replace(victim: Member, awayMs: number): Promise<void> {
    process.kill(victim.server.pid, 'SIGKILL');
    this.#members = this.#members.filter((member) => member !== victim);
    await pause(awayMs);
    await this.#startOne();
  }

  async #startOne(): Promise<void> {
    const [toRedis, toDatabase] = [
      await this.#relayTo(this.#redis.url()),
      await this.#relayTo(this.#database.url()),
    ];
    const settings = {
      ...{ 'jobs.folders': this.#folder, 'jobs.lock_ms': LOCK_MS, 'worker.count': 1 },
      'jobs.url': toRedis.through(this.#redis.url()),
      'database.url': toDatabase.through(this.#database.url()),
      'cache.secret': 'of this benchmark',
      // A machine that is killed counts as an attempt, and here one is every few seconds.
      'jobs.attempts': 50,
    };
    const server = await startServer(this.#context, { models: [bundledModel], settings });
    this.#members.push({ server, toRedis, toDatabase });
  }

  async #relayTo(url: string): Promise<Relay> {
    const relay = await Relay.start(Number(new URL(url).port));
    this.#context.defer(() => relay.stop());
    return relay;
  }
}

/** Either nobody is there any more, or what is sent goes nowhere: a cable that is pulled out. */
async function cutOff(relays: readonly Relay[], awayMs: number, random: () => number) {
  const mode = random() % 2 === 0 ? 'gone' : 'hang';
  for (const relay of relays) await relay.set(mode);
  await pause(awayMs);
  for (const relay of relays) await relay.set('pass');
}

function shuffled<T>(all: readonly T[], random: () => number): T[] {
  return all
    .map((value) => ({ value, at: random() }))
    .sort((one, other) => one.at - other.at)
    .map(({ value }) => value);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
