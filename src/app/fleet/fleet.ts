import { randomBytes } from 'node:crypto';
import type { RedisTier } from '../../cache/redis-tier.js';
import type { FleetServer, FleetView, Heartbeat } from '../../contract/fleet.js';
import type { SessionView } from '../../contract/sessions.js';
import { toInstant } from '../../contract/units.js';
import { messageOf } from '../../errors.js';
import type { SharedFacts, SharedSession } from '../../sessions/fleet/directory.js';
import { type Member, type Members, RedisMembers } from '../../sessions/fleet/members.js';
import { elsewhereOf } from '../../sessions/fleet/parts.js';
import { FleetRedis } from '../../sessions/fleet/redis.js';
import { RedisDirectory } from '../../sessions/fleet/redis-directory.js';
import type { SessionRegistry } from '../../sessions/registry.js';
import type { Config } from '../../settings/config.js';
import type { Store } from '../../store/store.js';
import type { Archive } from '../archive/archive.js';
import type { Logger } from '../log.js';
import { Closings } from './closings.js';
import { nameOf } from './own-heartbeat.js';
import { PostgresMembers } from './postgres-members.js';
import { readHeartbeat } from './read-heartbeat.js';

const BEAT_EVERY_MS = 1000;
/** A server that misses this many heartbeats is shown as silent. */
const SILENT_AFTER_MS = 3 * BEAT_EVERY_MS;
/** Longest wait for the other servers to clean up after a session that a caller ends. */
const CLEANED_MS = 5000;
const LOOK_AGAIN_MS = 100;

export interface FleetOptions {
  readonly config: Config;
  readonly redis: RedisTier | undefined;
  readonly store: Store;
  readonly archive: Archive;
  readonly log: Logger;
}

/**
 * The servers that share a Redis and `cache.secret`: they share sessions, and see one another. Those that share only a PostgreSQL see
 * one another. A server with neither is alone, and nothing here runs.
 */
export class Fleet {
  /** Undefined where sessions are not shared. */
  readonly directory: RedisDirectory | undefined;
  readonly #options: FleetOptions;
  readonly #redis: FleetRedis | undefined;
  readonly #members: Members | undefined;
  readonly #closings: Closings | undefined;
  /** New with every start, so that a server that comes back is not taken for the one that went. */
  readonly #run = randomBytes(4).toString('hex');
  #heartbeat: (() => Heartbeat) | undefined;
  #sessions: SessionRegistry | undefined;
  #timer: NodeJS.Timeout | undefined;
  #beating: Promise<void> | undefined;
  #isStopped = false;
  #away = '';
  #last: { readonly members: readonly Member[]; readonly atMs: number } = { members: [], atMs: 0 };
  #over = { sessions: 0, users: 0 };

  constructor(options: FleetOptions) {
    this.#options = options;
    const { config, redis, store } = options;
    const secret = config['cache.secret'];
    if (redis !== undefined && secret !== '') {
      const onState = (reason: string) => this.#onRedis(reason);
      this.#redis = new FleetRedis({ pool: redis.pool, secret, onState });
      this.#members = new RedisMembers(this.#redis);
      this.directory = new RedisDirectory({
        server: () => ({ id: this.id, name: nameOf(config) }),
        redis: this.#redis,
        remembered: (id) => this.#remembered(id),
      });
      this.#closings = new Closings(options.archive, this.directory);
    } else if (config['database.url'] !== '') {
      this.#members = new PostgresMembers(store.servers);
    }
  }

  /** The server’s name in the database, and its run. */
  get id(): string {
    return `${this.#options.archive.server}.${this.#run}`;
  }

  /** Sends the first heartbeat, and one a second from then on. */
  async start(sessions: SessionRegistry, heartbeat: () => Heartbeat): Promise<void> {
    this.#sessions = sessions;
    this.#heartbeat = heartbeat;
    if (this.#members === undefined) return;
    await this.beat();
    this.#beatLater();
  }

  /** Tells the others how this server is now; also outside of the rhythm. Never rejects. */
  beat(): Promise<void> {
    this.#beating ??= this.#beat().finally(() => {
      this.#beating = undefined;
    });
    return this.#beating;
  }

  /** Leaves the list of servers at once: the others need not wait until it is silent. */
  async leave(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#beating;
    if (this.#members === undefined || this.#heartbeat === undefined) return;
    await this.#members.leave(this.id).catch((error: unknown) => {
      this.#options.log.debug({ reason: messageOf(error) }, 'the fleet was not told of the end');
    });
  }

  /** All servers, as they are now; where they are not heard, as they were. */
  async view(): Promise<FleetView> {
    const members = this.#members;
    if (members !== undefined && this.#away === '') {
      try {
        this.#last = { members: await members.list(), atMs: Date.now() };
      } catch (error) {
        this.#away = messageOf(error);
      }
    }
    const through = this.#redis === undefined ? 'postgresql' : 'redis';
    return {
      shared_through: members === undefined ? 'none' : through,
      sessions_shared: this.directory !== undefined,
      away: this.#away === '' ? null : this.#away,
      notes: this.#notes(),
      servers: this.#servers(),
    };
  }

  /** What is shown on the page; null where there is nothing to see of other servers. */
  async shown(): Promise<FleetView | null> {
    return this.#members === undefined ? null : this.view();
  }

  /** A session that this server has no part in. */
  async elsewhere(id: string): Promise<SessionView | undefined> {
    const session = await this.directory?.describe(id);
    return session && elsewhereOf(session);
  }

  /** Records the end of a session that this server has no part in: perhaps nobody else does. */
  keepEnded(session: SharedSession): void {
    this.#closings?.keep(session);
  }

  /** Waits until every server that is there has cleaned up after a session, at most 5 seconds. */
  async cleaned(id: string): Promise<SharedSession | undefined> {
    const until = performance.now() + CLEANED_MS;
    for (;;) {
      const session = await this.directory?.describe(id);
      const isDone = session?.parts.every(({ state }) => state === 'ended' || state === 'lost');
      if (isDone !== false || performance.now() >= until) return session;
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
  }

  #beatLater(): void {
    this.#timer = setTimeout(() => {
      void this.beat().then(() => {
        if (!this.#isStopped) this.#beatLater();
      });
    }, BEAT_EVERY_MS).unref();
  }

  /**
   * 1. A heartbeat, which also ends shared sessions that no server uses.
   * 2. What this server knows of the shared sessions; all of it where Redis was away.
   * 3. Only then do requests ask Redis again: it has every session then.
   * 4. Ends that nobody else may record. Those of this heartbeat are noted before anything can fail: Redis names them once.
   */
  async #beat(): Promise<void> {
    const [members, heartbeat, sessions] = [this.#members, this.#heartbeat, this.#sessions];
    if (members === undefined || heartbeat === undefined || sessions === undefined) return;
    try {
      const idle = await members.beat(this.id, JSON.stringify(heartbeat())); // 1
      for (const id of idle) this.#closings?.add(id);
      if (this.directory !== undefined && this.#redis !== undefined) {
        if (this.#redis.away !== '') this.directory.forgetReports();
        await this.directory.report(sessions.held(), this.#events(sessions)); // 2
        this.#redis.heard(); // 3
        await this.#closings?.run(sessions); // 4
      }
      this.#away = '';
    } catch (error) {
      this.#away = messageOf(error);
      this.#redis?.lost(this.#away);
    }
  }

  #events(sessions: SessionRegistry) {
    return {
      onCount: sessions.noteShared.bind(sessions),
      onEnded: sessions.endedElsewhere.bind(sessions),
      onOver: ({ id, maxUsers }: SharedFacts, raised: number) => {
        this.#over.sessions += 1;
        this.#over.users += raised;
        const text = `a session has more users than its ${maxUsers}, by ${raised}: they were let in while Redis did not answer`;
        this.#options.log.warn({ session: id, raised, maxUsers }, text);
        this.#options.archive.keepEvent({ kind: 'over_admitted', text, session: id });
      },
    };
  }

  #onRedis(reason: string): void {
    const { log, archive } = this.#options;
    const [back, away] = [
      'the servers of the fleet hear one another again: sessions are shared',
      'the fleet is not heard through Redis: this server goes on with the sessions and users that it knows',
    ];
    if (reason === '') log.info(back);
    else log.warn({ reason }, away);
    const kind = reason === '' ? 'fleet_back' : 'fleet_away';
    archive.keepEvent({ kind, text: reason === '' ? back : `${away} (${reason})` });
  }

  async #remembered(id: string): Promise<SharedFacts | undefined> {
    const session = await this.#options.archive.session(id);
    if (session?.state !== 'open' || session.fleet === undefined) return undefined;
    return {
      id,
      maxUsers: session.max_users,
      openedAtMs: Date.parse(session.opened_at),
      idleTimeoutMs: this.#options.config['session.idle_timeout_ms'],
    };
  }

  #notes(): readonly string[] {
    const notes: string[] = [];
    if (this.#away !== '') {
      notes.push(`The other servers are not heard: ${this.#away}.`);
      if (this.directory !== undefined) {
        notes.push('This server goes on with the sessions and users that it knows.');
      }
    }
    const { sessions, users } = this.#over;
    if (users > 0) {
      const many = (number: number, what: string) => `${number} ${what}${number === 1 ? '' : 's'}`;
      const of = many(sessions, 'session');
      notes.push(`${many(users, 'user')} beyond the number of ${of}: let in while Redis was away.`);
    }
    return notes;
  }

  #servers(): readonly FleetServer[] {
    const own = this.#heartbeat?.();
    if (own === undefined) return [];
    const now = Date.now();
    const { members, atMs } = this.#last;
    const others = members.flatMap(({ told: text, silentMs }) => {
      const server = readHeartbeat(text);
      return server === undefined || server.id === own.id
        ? []
        : [shownServer(server, silentMs + now - atMs, now)];
    });
    const shown = { ...own, this: true, seen_at: toInstant(now), silent_s: 0 };
    return [shown, ...others].sort(
      (a, b) => a.name.localeCompare(b.name) || a.started_at.localeCompare(b.started_at),
    );
  }
}

function shownServer(heartbeat: Heartbeat, silentMs: number, now: number): FleetServer {
  const silent_s = silentMs < SILENT_AFTER_MS ? 0 : Math.floor(silentMs / 1000);
  return { ...heartbeat, this: false, seen_at: toInstant(now - silentMs), silent_s };
}
