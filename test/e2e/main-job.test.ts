import http from 'node:http';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Models } from '../../src/contract/models.js';
import type { Receipt, Receipts } from '../../src/contract/receipts.js';
import type { SessionView } from '../../src/contract/sessions.js';
import {
  classify,
  endSession,
  get,
  openSession,
  type Server,
  startServer,
  topLabel,
  until,
} from './harness.js';
import { receiptShape } from './shapes.js';
import { heldOutMails, labelsOf, SPAM } from './texts.js';

const SESSIONS = 5;
const USERS = 8;
const REQUESTS = 10;

const mails = heldOutMails();
const labels = new Set(labelsOf(SPAM));
const agent = new http.Agent({ keepAlive: true });
const ended: (SessionView & { readonly cleanup: Receipt })[] = [];
let server: Server;
let successful = 0;
let answered = 0;

/** One user: its requests one after the other, each with a mail of its own. */
async function play(session: string, user: number, first: number): Promise<void> {
  for (let turn = 0; turn < REQUESTS; turn += 1) {
    const mail = mails[(first + turn) % mails.length];
    if (mail === undefined) throw new Error('there are no mails');
    const answer = await classify(server, mail.text, { session, user: `user-${user}` }, agent);
    answered += 1;
    expect(answer).toMatchObject({ session, user: `user-${user}`, model: 'spam' });
    expect(labels).toContain(topLabel(answer.results[0]));
  }
}

beforeAll(async () => {
  server = await startServer({ isUnprepared: true, settings: { 'worker.count': 2 } });
  await until('the bundled model is prepared', async () => {
    const { models } = await get<Models>(server, '/v1/models');
    return models[0]?.private_mb;
  });
});

describe('the main job: 5 sessions of 8 users, 10 mails each', () => {
  test.each(Array.from({ length: SESSIONS }, (_, index) => index))(
    'session %i: all its users are answered, and the model is unloaded after it',
    async (index) => {
      const { id } = await openSession(server);
      const users = Array.from({ length: USERS }, (_, user) =>
        play(id, user, (index * USERS + user) * REQUESTS),
      );
      const outcomes = await Promise.allSettled(users);
      expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([]);
      successful += outcomes.length;
      const session = await endSession(server, id);
      ended.push(session);
      const requests = USERS * REQUESTS;
      expect(session).toMatchObject({ users: USERS, requests, failures: 0, state: 'ended' });
      const { models } = await get<Models>(server, '/v1/models');
      expect(models.map(({ state }) => state)).toEqual(models.map(() => 'unloaded'));
    },
  );

  test('40 of 40 users were successful', () => {
    expect(successful).toBe(SESSIONS * USERS);
    expect(answered).toBe(SESSIONS * USERS * REQUESTS);
  });

  test('five receipts tell memory before and after', async () => {
    const { receipts } = await get<Receipts>(server, '/v1/receipts?kind=cleanup');
    const cleanups = ended.map(({ cleanup }) => cleanup);
    expect(cleanups).toHaveLength(SESSIONS);
    expect(receipts.filter(({ session }) => session !== null).reverse()).toStrictEqual(cleanups);
    for (const [index, cleanup] of cleanups.entries()) {
      expect(cleanup).toStrictEqual({ ...receiptShape, session: ended[index]?.id });
      expect(cleanup.before.private_mb).toBeGreaterThan(0);
      expect(cleanup.after.private_mb).toBeGreaterThan(0);
      expect(cleanup.actions.map(({ action }) => action)).toContain('unload_model');
    }
  });

  test('a cleanup gives private memory back, and the next one starts no higher', () => {
    const freed = ended.reduce((sum, { cleanup }) => sum + cleanup.freed_private_mb, 0);
    expect(freed).toBeGreaterThan(0);
    // After the first session everything that stays for good is there.
    const after = ended.map(({ cleanup }) => cleanup.after.private_mb);
    expect(after.at(-1)).toBeLessThan((after[0] ?? 0) * 1.25);
  });
});
