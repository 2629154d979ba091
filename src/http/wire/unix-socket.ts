import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';

/** The owner and the group: a proxy of another user joins the group. */
const MODE = 0o660;

/**
 * Removes a socket that a server left when it was killed. One that somebody answers at stays, and listening then fails.
 *
 * @throws Error if something else is at the path
 */
export async function removeLeftSocket(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error(`http.socket: ${path} is there and is no socket`);
  const isAnswered = await new Promise<boolean>((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
  if (!isAnswered) unlinkSync(path);
}

/** Lets the owner and the group connect. */
export function restrictSocket(path: string): void {
  chmodSync(path, MODE);
}
