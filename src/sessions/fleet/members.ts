import { type FleetRedis, KEEP_MS, listOf } from './redis.js';
import { BEAT, LEAVE, MEMBERS } from './scripts.js';

/** A silent server is forgotten after this. */
export const FORGOTTEN_AFTER_MS = 600_000;
/** Longest wait for the reply to a heartbeat. */
const BEAT_MS = 1000;

/** What a server told, as JSON, and how long ago. */
export interface Member {
  readonly told: string;
  readonly silentMs: number;
}

/** Where the servers of a fleet tell one another that they are there. Each method throws Error if nobody answers in time. */
export interface Members {
  /** @returns shared sessions that this heartbeat has ended, because no server used them. */
  beat(server: string, told: string): Promise<readonly string[]>;
  list(): Promise<readonly Member[]>;
  leave(server: string): Promise<void>;
}

export class RedisMembers implements Members {
  readonly #redis: FleetRedis;
  #hasBeaten = false;

  constructor(redis: FleetRedis) {
    this.#redis = redis;
  }

  async beat(server: string, told: string): Promise<readonly string[]> {
    // An earlier run that was killed is not another server.
    const earlier = this.#hasBeaten ? '' : server.slice(0, server.lastIndexOf('.') + 1);
    const args = [KEEP_MS, server, told, FORGOTTEN_AFTER_MS, earlier];
    const ended = await this.#redis.run(BEAT, args, BEAT_MS);
    this.#hasBeaten = true;
    return listOf(ended);
  }

  async list(): Promise<readonly Member[]> {
    const said = listOf(await this.#redis.run(MEMBERS, [], BEAT_MS));
    const members: Member[] = [];
    for (let at = 0; at + 1 < said.length; at += 2) {
      members.push({ told: said[at] ?? '', silentMs: Number(said[at + 1]) });
    }
    return members;
  }

  async leave(server: string): Promise<void> {
    await this.#redis.run(LEAVE, [server], BEAT_MS);
  }
}
