import { onTestFinished } from 'vitest';
import { redisPool } from '../../../../src/cache/redis-connection.js';
import type { Receipt } from '../../../../src/memory/receipt.js';
import type { SharedFacts } from '../../../../src/sessions/fleet/directory.js';
import { RedisMembers } from '../../../../src/sessions/fleet/members.js';
import { FleetRedis } from '../../../../src/sessions/fleet/redis.js';
import { RedisDirectory } from '../../../../src/sessions/fleet/redis-directory.js';
import { SessionRegistry } from '../../../../src/sessions/registry.js';
import { receipt } from '../../memory/receipts.js';

export const LIMITS = {
  ...{ min: 0, max: 4, waitMs: 2000, idleMs: 60_000, lifetimeMs: 600_000 },
  checkAfterIdleMs: 60_000,
};

/** One server of a fleet, without models: its sessions, and its part of the directory in a real Redis. */
export class Member {
  readonly registry: SessionRegistry;
  readonly directory: RedisDirectory;
  readonly redis: FleetRedis;
  readonly members: RedisMembers;
  readonly over: number[] = [];
  readonly states: string[] = [];
  /** Called before a session opens, or a part of one; throws to refuse it. */
  admit: () => void = () => undefined;
  readonly id: string;

  constructor(
    url: string,
    id: string,
    of: {
      readonly secret?: string;
      readonly idleTimeoutMs?: number;
      readonly remembered?: (session: string) => Promise<SharedFacts | undefined>;
    } = {},
  ) {
    this.id = `${id}.1`;
    const pool = redisPool(url, LIMITS);
    onTestFinished(() => pool.close());
    const onState = (reason: string) => void this.states.push(reason === '' ? 'back' : 'away');
    this.redis = new FleetRedis({ pool, secret: of.secret ?? 'secret of a test', onState });
    this.directory = new RedisDirectory({
      server: () => ({ id: this.id, name: `server ${id}` }),
      redis: this.redis,
      remembered: of.remembered ?? (async () => undefined),
    });
    this.members = new RedisMembers(this.redis);
    this.registry = new SessionRegistry({
      ...{ maxUsers: 2, maxOpen: 10, idleTimeoutMs: of.idleTimeoutMs ?? 30_000 },
      admit: () => this.admit(),
      cleanup: async ({ id: session }) => receipt({ id: `r of ${session} on ${id}`, session }),
      shareReceipt: (same: Receipt, { id: session }) => ({
        ...same,
        ...{ id: `r of ${session} on ${id}`, session },
      }),
      onChange: () => undefined,
      onUser: () => undefined,
      onError: (_line, error) => {
        throw error;
      },
      directory: this.directory,
    });
    onTestFinished(() => this.registry.stop(100));
  }

  /** What the app does every second. @returns whether Redis answered */
  async beat(): Promise<boolean> {
    try {
      await this.members.beat(this.id, JSON.stringify({ id: this.id }));
      if (this.redis.away !== '') this.directory.forgetReports();
      await this.directory.report(this.registry.held(), {
        onCount: this.registry.noteShared.bind(this.registry),
        onEnded: this.registry.endedElsewhere.bind(this.registry),
        onOver: (_facts, raised) => this.over.push(raised),
      });
      this.redis.heard();
      return true;
    } catch {
      return false;
    }
  }

  /** One request of a user. @returns the code of the error that refused it */
  async ask(session: string, user: string): Promise<string | undefined> {
    try {
      const seat = await this.registry.enterAny(session, user, 'm');
      seat.leave(true);
      return undefined;
    } catch (error) {
      return error instanceof Error && 'code' in error ? String(error.code) : String(error);
    }
  }

  /** Opens a session of the fleet. @returns its id */
  async open(maxUsers = 2): Promise<string> {
    return (await this.registry.openForAll(maxUsers)).id;
  }
}

/** Servers of one fleet that have heard of each other. */
export async function fleetOf(
  url: string,
  names: readonly string[],
  of: ConstructorParameters<typeof Member>[2] = {},
): Promise<readonly Member[]> {
  const members = names.map((name) => new Member(url, name, of));
  for (const member of members) await member.beat();
  return members;
}
