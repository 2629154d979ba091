import type { KeyScope } from '../../contract/service.js';
import { limitOf, parseScopes } from '../../keys/key-file.js';
import { KeyRegister, spanMs } from '../../keys/key-register.js';
import { stateOf } from '../../keys/stored-keys.js';
import { poolLimits } from '../../settings/config.js';
import { Store } from '../../store/store.js';
import { type CommonFlags, configFrom } from '../flags.js';

/** The flags of `plimsoll keys create`, as they were written. */
export interface CreateFlags extends CommonFlags {
  readonly scope?: readonly string[];
  readonly requestsPerSecond?: string;
  readonly inputsPerMinute?: string;
  readonly expires?: string;
}

/** The database that the server of these settings uses, be it running or not. */
async function withRegister(
  flags: CommonFlags,
  work: (register: KeyRegister) => Promise<void>,
): Promise<number> {
  const { config } = await configFrom(flags);
  const url = config['database.url'];
  const store =
    url === ''
      ? await Store.open(config.data)
      : await Store.connect(url, poolLimits(config, 'database'), config['database.schema']);
  try {
    await work(new KeyRegister(store.keys));
  } finally {
    await store.close();
  }
  return 0;
}

/** `plimsoll keys create NAME`: the secret goes to the standard output, everything else to the error output. */
export function createKey(name: string, flags: CreateFlags): Promise<number> {
  return withRegister(flags, async (register) => {
    const { secret } = await register.create({
      name,
      scopes: scopesOf(flags.scope),
      requestsPerSecond: limitOf('--requests-per-second', flags.requestsPerSecond),
      inputsPerMinute: limitOf('--inputs-per-minute', flags.inputsPerMinute),
      expiresInMs: spanMs('--expires', flags.expires),
    });
    show(secret, `This is the key "${name}". It is shown this once and kept nowhere.`);
  });
}

/** `plimsoll keys rotate NAME [--grace 10m]` */
export function rotateKey(name: string, flags: CommonFlags & { grace?: string }): Promise<number> {
  return withRegister(flags, async (register) => {
    const graceMs = spanMs('--grace', flags.grace) ?? 0;
    const { secret } = await register.rotate(name, graceMs);
    const old = graceMs === 0 ? 'stops working within a second' : `works for ${flags.grace} more`;
    show(secret, `This is the new key "${name}", shown this once. The old one ${old}.`);
  });
}

/** `plimsoll keys revoke NAME` */
export function revokeKey(name: string, flags: CommonFlags): Promise<number> {
  return withRegister(flags, async (register) => {
    await register.revoke(name);
    process.stdout.write(`The key "${name}" is revoked: servers stop taking it within a second.\n`);
  });
}

/** `plimsoll keys list`: those of the database; a file of keys belongs to who wrote it. */
export function listKeys(flags: CommonFlags & { json?: boolean }): Promise<number> {
  return withRegister(flags, async (register) => {
    const nowMs = Date.now();
    const rows = (await register.list()).map((key) => [
      key.name,
      stateOf(key, nowMs),
      key.scopes.join(','),
      key.requestsPerSecond === undefined ? '–' : `${key.requestsPerSecond}/s`,
      key.inputsPerMinute === undefined ? '–' : `${key.inputsPerMinute}/min`,
      dayOf(key.createdAtMs),
      dayOf(key.expiresAtMs),
    ]);
    if (rows.length === 0) {
      process.stdout.write('There is no key in the database.\n');
      return;
    }
    const head = ['name', 'state', 'scopes', 'requests', 'inputs', 'created', 'expires'];
    const widths = head.map((_, at) =>
      Math.max(...[head, ...rows].map((row) => (row[at] ?? '').length)),
    );
    for (const row of [head, ...rows]) {
      process.stdout.write(
        `${row
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
      );
    }
  });
}

function show(secret: string, words: string): void {
  process.stderr.write(`${words}\n`);
  process.stdout.write(`${secret}\n`);
}

function scopesOf(written: readonly string[] = []): readonly KeyScope[] {
  return written.length === 0 ? ['classify'] : parseScopes(written.join(','));
}

function dayOf(ms: number | undefined): string {
  return ms === undefined ? '–' : new Date(ms).toISOString().slice(0, 10);
}
