import path from 'node:path';
import { PlimsollError } from '../errors.js';
import type { KeyCheck } from '../http/guards/key-guard.js';
import { needOf } from '../http/guards/key-guard.js';
import { isLoopback } from '../http/guards/site-guard.js';
import type { HttpServices } from '../http/services.js';
import { KeyRegister } from '../keys/key-register.js';
import { Keys } from '../keys/keys.js';
import { KeyLimits } from '../keys/limits.js';
import { RedisLimits } from '../keys/redis-limits.js';
import { shownKey } from '../keys/shown.js';
import type { Metrics } from '../metrics/metrics.js';
import { OPEN_WORDS } from '../settings/areas/http.js';
import type { Config } from '../settings/config.js';
import type { Store } from '../store/store.js';
import type { Assembly } from './assembly.js';
import type { Logger } from './log.js';

export interface AccessOptions {
  readonly config: Config;
  readonly store: Store;
  readonly redis: Assembly['redis'];
  /** Whether Redis is known not to answer. */
  readonly isRedisAway: () => boolean;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** Who may use the server: joins the keys, their limits and the settings about them. */
export class Access {
  readonly keys: Keys;
  readonly #options: AccessOptions;
  readonly #register: KeyRegister;
  readonly #limits: KeyLimits;

  constructor(options: AccessOptions) {
    const { config, store, redis, isRedisAway, log } = options;
    this.#options = options;
    this.keys = new Keys({
      table: store.keys,
      file: config['keys.file'],
      // SQLite is in the data folder itself.
      ...(config['database.url'] === '' ? {} : { snapshot: path.join(config.data, 'keys.json') }),
      log,
    });
    this.#register = new KeyRegister(store.keys);
    const shared = redis && new RedisLimits(redis.pool, isRedisAway, config['cache.secret']);
    this.#limits = new KeyLimits(shared);
  }

  /**
   * Reads the keys.
   *
   * @param address that the server is to listen on.
   * @throws Error if others could use the server without a key.
   */
  async start(address: string): Promise<void> {
    await this.keys.start();
    const { areOn, areKnown } = this.keys;
    const isOpen = this.#options.config['http.open'] === OPEN_WORDS;
    const refusal = refusalOf({ address, areOn, areKnown, isOpen });
    if (refusal !== '') throw new Error(refusal);
    if (!isOpen || (!areOn && isLoopback(address))) return;
    this.#options.log.warn({ address }, 'http.open: anyone who reaches the server may use it');
  }

  /** What the guard of the routes asks. @param address that the server listens on. */
  check(address: string): KeyCheck {
    const { config, metrics } = this.#options;
    const { keys } = this;
    const isOpen = config['http.open'] === OPEN_WORDS;
    const isReachable = !isLoopback(address);
    const isBehindProxy = config['http.trust_proxy'] !== 'off';
    return {
      find: (secret, nowMs) => keys.ring.find(secret, nowMs),
      remembers: (secret) => keys.ring.remembers(secret),
      need: () => {
        const { areOn, areKnown } = keys;
        return needOf({ isOpen, areOn, areKnown, isReachable, isBehindProxy });
      },
      takeRequest: (caller) => this.#limits.takeRequest(caller),
      takeInputs: (caller, count) => this.#limits.takeInputs(caller, count),
      onRefusal: (reason) => metrics.keyRefusals.inc({ reason }),
    };
  }

  /** The keys as the routes need them. */
  get services(): HttpServices['keys'] {
    const changed = async <T>(work: Promise<T>): Promise<T> => {
      const result = await work;
      // Here at once; other servers look three times a second.
      await this.keys.refresh();
      return result;
    };
    const inDatabase = <T>(name: string, work: () => Promise<T>): Promise<T> => {
      if (!this.keys.isOfFile(name)) return changed(work());
      const message = `the key "${name}" is in keys.file: it is made, changed and revoked there`;
      return Promise.reject(new PlimsollError('KEY_EXISTS', message));
    };
    return {
      list: () => this.keys.list.map((key) => shownKey(key, Date.now())),
      create: (key) => inDatabase(key.name, () => this.#register.create(key)),
      revoke: (name) => inDatabase(name, () => this.#register.revoke(name)),
      rotate: (name, ms) => inDatabase(name, () => this.#register.rotate(name, ms)),
    };
  }
}

/**
 * Why the server must not start; empty if it may:
 *
 * 1. Nobody on another machine reaches it, or `http.open` says that anyone may use it.
 * 2. There are keys, or the database that may have some does not answer: nobody is let in until it does.
 * 3. Else it is refused.
 */
export function refusalOf(facts: {
  readonly address: string;
  readonly areOn: boolean;
  readonly areKnown: boolean;
  readonly isOpen: boolean;
}): string {
  const { address, areOn, areKnown, isOpen } = facts;
  if (isLoopback(address) || isOpen) return ''; // 1
  if (areOn || !areKnown) return ''; // 2
  return (
    `others can reach ${address}, and there is no key: anyone could use and manage this server. ` +
    'Make a key with "plimsoll keys create NAME --scope manage" (with the same --data or database), ' +
    'or name a file of keys in keys.file, or listen on 127.0.0.1. ' +
    `Where anyone may use it, set http.open=${OPEN_WORDS}`
  );
}
