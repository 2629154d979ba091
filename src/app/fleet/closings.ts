import type { SharedSession } from '../../sessions/fleet/directory.js';
import { elsewhereOf } from '../../sessions/fleet/parts.js';
import type { RedisDirectory } from '../../sessions/fleet/redis-directory.js';
import type { SessionRegistry } from '../../sessions/registry.js';
import type { Archive } from '../archive/archive.js';

/** More are forgotten, the oldest first: each costs Redis a question with every heartbeat. */
const MAX_CLOSING = 1000;
/** Asked about with one heartbeat, which must not take long. */
const AT_ONCE = 20;

/**
 * Sessions that this server has ended for all, and may have no part in: perhaps no running server has, and then nobody else records
 * the end. A server that died counts as lost only after some seconds, so an end is looked at until all parts are over.
 */
export class Closings {
  readonly #archive: Archive;
  readonly #directory: RedisDirectory;
  readonly #waiting = new Set<string>();

  constructor(archive: Archive, directory: RedisDirectory) {
    this.#archive = archive;
    this.#directory = directory;
  }

  add(id: string): void {
    this.#waiting.add(id);
    for (const oldest of this.#waiting) {
      if (this.#waiting.size <= MAX_CLOSING) break;
      this.#waiting.delete(oldest);
    }
  }

  /** Records at once how a session has ended so far; it must not look open to a server that asks the database. */
  keep(session: SharedSession): void {
    const shown = elsewhereOf(session);
    this.#archive.keepShared(shown, 'bystander');
    if (shown.state === 'ended') this.#waiting.delete(shown.id);
    else this.add(shown.id);
  }

  /**
   * Looks at what waits. Never rejects. A session stays until
   *
   * 1. a part here records its end,
   * 2. Redis has it no more, or as open: one that was idle may be used again,
   * 3. or every part is over, and it is recorded here.
   */
  async run(sessions: Pick<SessionRegistry, 'find'>): Promise<void> {
    for (const id of [...this.#waiting].slice(0, AT_ONCE)) {
      // The others come first next time.
      this.#waiting.delete(id);
      const own = sessions.find(id);
      const hasLeft = own?.state === 'ended' && own.shared?.left?.state !== 'ended';
      if (own !== undefined && !hasLeft) continue; // 1
      const session = await this.#directory.describe(id);
      if (session === undefined && this.#directory.away !== '') {
        this.add(id);
        return;
      }
      if (session?.state !== 'ended') continue; // 2
      if (elsewhereOf(session).state === 'ended')
        this.keep(session); // 3
      else this.add(id);
    }
  }
}
