import { messageOf, systemCodeOf } from '../../errors.js';
import type { Backend, Work } from './backend.js';

/** A server that writes records holds SQLite's lock for milliseconds. */
const BUSY_TRIES = 20;
const BUSY_PAUSE_MS = 50;

/** One transaction; while another process holds SQLite's lock, it is tried again for a second. */
export async function writeWhenFree<T>(backend: Backend, work: Work<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await backend.write(work);
    } catch (error) {
      if (!isBusy(error) || tries >= BUSY_TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, BUSY_PAUSE_MS));
    }
  }
}

/** Whether another process holds SQLite's lock. */
function isBusy(error: unknown): boolean {
  return (
    /^SQLITE_BUSY/.test(systemCodeOf(error) ?? '') || /database is locked/i.test(messageOf(error))
  );
}
