/** Keys of a database that answers no longer, from what was noted of them. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { KeyRegister } from '../../../src/keys/key-register.js';
import { Keys } from '../../../src/keys/keys.js';
import { Store } from '../../../src/store/store.js';

const WANTED = {
  ...{ scopes: ['classify'] as const, requestsPerSecond: 5, inputsPerMinute: undefined },
  expiresInMs: 3_600_000,
};
let folder: string;
let snapshot: string;
let store: Store;

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-keys-'));
  snapshot = path.join(folder, 'keys.json');
  store = await Store.open(folder);
  onTestFinished(async () => {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });
});

/** The keys of a server that starts now. */
async function started(): Promise<{ readonly keys: Keys; readonly warnings: readonly string[] }> {
  const warnings: string[] = [];
  const log = {
    info: () => undefined,
    warn: (_: object, line: string) => void warnings.push(line),
  };
  const keys = new Keys({ table: store.keys, file: '', snapshot, log });
  onTestFinished(() => keys.stop());
  await keys.start();
  return { keys, warnings };
}

/** Keys `team` and `gone`, of which the second is revoked, known to a server that has run. */
async function twoKeys(): Promise<{ readonly team: string; readonly gone: string }> {
  const register = new KeyRegister(store.keys);
  const { secret: team } = await register.create({ ...WANTED, name: 'team' });
  const { secret: gone } = await register.create({ ...WANTED, name: 'gone' });
  await register.revoke('gone');
  (await started()).keys.stop();
  return { team, gone };
}

test('are noted as digests, for the owner alone, and hold without the database', async () => {
  const { team, gone } = await twoKeys();
  const written = readFileSync(snapshot, 'utf8');
  expect(written).toContain('"name":"team"');
  for (const secret of [team, gone]) expect(written).not.toContain(secret);
  expect(statSync(snapshot).mode & 0o777).toBe(0o600);
  await store.close();
  const { keys, warnings } = await started();
  expect(warnings.join()).toContain('the database does not answer');
  expect([keys.areKnown, keys.areOn]).toEqual([true, true]);
  expect(keys.staleBecause).toContain('changes of keys do not arrive');
  const caller = { keyName: 'team', scopes: ['classify'], requestsPerSecond: 5 };
  expect(keys.ring.find(team, Date.now())).toMatchObject({ kind: 'valid', caller });
  expect(keys.ring.find(team, Date.now() + 3_600_001)).toEqual({ kind: 'expired' });
  expect(keys.ring.find(gone, Date.now())).toEqual({ kind: 'revoked' });
  expect(keys.ring.find('plim_other', Date.now())).toEqual({ kind: 'unknown' });
});

test('are not known without a note, nor by one that is damaged', async () => {
  const { team } = await twoKeys();
  const [row] = JSON.parse(readFileSync(snapshot, 'utf8'));
  await store.close();
  rmSync(snapshot);
  expect((await started()).keys.areKnown).toBe(false);
  for (const damaged of [
    ...['', '[', '{}', '[null]', '[{"name":"team"}]'],
    JSON.stringify([{ ...row, scopes: ['manage'] }]),
    JSON.stringify([{ ...row, expires_at_ms: 'never' }]),
    JSON.stringify([row, 7]),
  ]) {
    writeFileSync(snapshot, damaged);
    const { keys } = await started();
    expect([damaged, keys.areKnown]).toEqual([damaged, false]);
    expect(keys.ring.find(team, Date.now()).kind).toBe('unknown');
  }
});
