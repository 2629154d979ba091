/** Which keys hold, and what is remembered of them. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { digestOf, type Key, newSecret } from '../../../src/keys/key.js';
import { Keyring } from '../../../src/keys/keyring.js';
import { Keys } from '../../../src/keys/keys.js';
import type { KeyTable, StoredKeys } from '../../../src/store/key-table.js';

const NO_LOG = { info: () => undefined, warn: () => undefined };

function keyOf(name: string, secret: string, more: Partial<Key> = {}): Key {
  return {
    ...{ name, digest: digestOf(secret), scopes: ['read'], from: 'database' },
    ...{ requestsPerSecond: undefined, inputsPerMinute: undefined, createdAtMs: 0 },
    ...{ expiresAtMs: undefined, revokedAtMs: undefined, old: undefined },
    ...more,
  };
}

describe('a credential that was valid', () => {
  const [kept, gone, changed] = [newSecret(), newSecret(), newSecret()];
  const ringOf = () => {
    const ring = new Keyring();
    ring.replace([keyOf('kept', kept), keyOf('gone', gone), keyOf('changed', changed)]);
    for (const secret of [kept, gone, changed]) expect(ring.find(secret, 0).kind).toBe('valid');
    return ring;
  };

  test('is remembered when other keys change', () => {
    const ring = ringOf();
    ring.replace([keyOf('kept', kept), keyOf('new', newSecret())]);
    expect([kept, gone, changed].map((secret) => ring.remembers(secret))).toEqual([
      ...[true, false, false],
    ]);
    expect(ring.find(gone, 0).kind).toBe('unknown');
  });

  test('is what its key is now', () => {
    const ring = ringOf();
    ring.replace([
      keyOf('kept', kept, { expiresAtMs: 10 }),
      keyOf('gone', gone, { revokedAtMs: 5 }),
      keyOf('changed', changed, { scopes: ['manage'], requestsPerSecond: 3 }),
    ]);
    expect(ring.find(kept, 9).kind).toBe('valid');
    expect(ring.find(kept, 10).kind).toBe('expired');
    expect(ring.remembers(gone)).toBe(false);
    expect(ring.find(gone, 6).kind).toBe('revoked');
    expect(ring.find(changed, 6)).toMatchObject({
      ...{ kind: 'valid', caller: { scopes: ['manage'], requestsPerSecond: 3 } },
    });
  });

  test('one that never was is not remembered', () => {
    const ring = new Keyring();
    ring.replace([keyOf('gone', gone, { revokedAtMs: 1 }), keyOf('old', kept, { expiresAtMs: 1 })]);
    for (const secret of [gone, kept]) {
      expect(ring.find(secret, 2).kind).not.toBe('valid');
      expect(ring.remembers(secret)).toBe(false);
    }
  });
});

test('a key that leaves the file is noticed while the database hangs', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-keys-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'keys');
  const [kept, gone] = [newSecret(), newSecret()];
  writeFileSync(file, `kept read ${kept}\ngone read ${gone}\n`);
  let reads = 0;
  let release: () => void = () => undefined;
  const hanging = new Promise<undefined>((resolve) => {
    release = () => resolve(undefined);
  });
  onTestFinished(() => release());
  const read = (): Promise<StoredKeys | undefined> => {
    reads += 1;
    return reads === 1 ? Promise.resolve({ revision: 1, keys: [] }) : hanging;
  };
  // The database's end alone is the test's: one that takes the question and never answers.
  const keys = new Keys({ table: { read } as unknown as KeyTable, file, log: NO_LOG });
  onTestFinished(() => keys.stop());
  await keys.start();
  await expect.poll(() => reads, { timeout: 5000 }).toBe(2);
  expect(keys.ring.find(gone, Date.now()).kind).toBe('valid');
  writeFileSync(`${file}.new`, `kept read ${kept}\n`);
  renameSync(`${file}.new`, file);
  await expect.poll(() => keys.ring.find(gone, Date.now()).kind, { timeout: 5000 }).toBe('unknown');
  expect(keys.ring.find(kept, Date.now()).kind).toBe('valid');
  expect(reads).toBe(2);
});

test('a name in the database and in the file is the file’s', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-keys-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'keys');
  const [inFile, stored, other] = [newSecret(), newSecret(), newSecret()];
  writeFileSync(file, `bot read ${inFile}\n`);
  const rows = [keyOf('bot', stored, { scopes: ['manage'] }), keyOf('other', other)].map((key) => ({
    ...{ name: key.name, digest: key.digest, scopes: key.scopes.join(','), created_at_ms: 0 },
    ...{ requests_per_second: null, inputs_per_minute: null, expires_at_ms: null },
    ...{ revoked_at_ms: null, old_digest: null, old_until_ms: null },
  }));
  const read = async (): Promise<StoredKeys> => ({ revision: 1, keys: rows });
  const keys = new Keys({ table: { read } as unknown as KeyTable, file, log: NO_LOG });
  onTestFinished(() => keys.stop());
  await keys.start();
  const kinds = [inFile, stored, other].map((secret) => keys.ring.find(secret, Date.now()).kind);
  expect(kinds).toEqual(['valid', 'unknown', 'valid']);
  expect(['bot', 'other'].map((name) => keys.isOfFile(name))).toEqual([true, false]);
});
