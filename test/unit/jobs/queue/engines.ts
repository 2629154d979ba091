import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished } from 'vitest';
import { EmbeddedQueue } from '../../../../src/jobs/queue/embedded/embedded-queue.js';
import type { QueueOptions } from '../../../../src/jobs/queue/ledger-queue.js';
import type { JobQueue } from '../../../../src/jobs/queue/queue.js';
import { Store } from '../../../../src/store/store.js';

/** The queue as one server opens it. `close` ends it as a server does that stops; it may be left to the end of the test. */
export type OpenServer = (
  server: string,
  changes?: Partial<QueueOptions>,
) => Promise<JobQueue & { prune(): Promise<number> }>;

export const OPTIONS = { attempts: 3, backoffMs: 10, lockMs: 1000, keepDays: 7 };

/** The same tests on every engine, each with jobs of its own. */
export function onEveryEngine(tests: (fresh: () => Promise<OpenServer>) => void): void {
  describe('on SQLite', () => {
    tests(async () => {
      const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-jobs-'));
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
      return async (server, changes = {}) => {
        const store = await Store.open(folder);
        const errors: unknown[] = [];
        const queue = new EmbeddedQueue({
          ...{ ...OPTIONS, onError: (error: unknown) => errors.push(error), server, owner: server },
          database: store.database,
          ...changes,
        });
        onTestFinished(async () => {
          await queue.close();
          await store.close();
          expect(errors).toEqual([]);
        });
        await queue.start();
        return queue;
      };
    });
  });
}
