/** `plimsoll keys …` beside a server of the same data folder. */
import { beforeAll, expect, test } from 'vitest';
import { request, run, type Server, startServer, until } from './harness.js';

let server: Server;

beforeAll(async () => {
  server = await startServer({ settings: { 'worker.count': 1 } });
}, 120_000);

const keys = (...args: readonly string[]) => run(['keys', ...args, '--data', server.data]);

async function statusWith(secret: string): Promise<number> {
  const headers = { authorization: `Bearer ${secret}` };
  return (await request(server, 'GET', '/v1/models', { headers })).status;
}

/** Lines of the table, by the name of the key; the first cell of the head is `name`. */
function rowsOf(table: string): Readonly<Record<string, readonly string[]>> {
  const rows = table
    .trim()
    .split('\n')
    .map((line) => line.split(/ {2,}/));
  return Object.fromEntries(rows.map(([name = '', ...cells]) => [name, cells]));
}

test('a key is made, listed, rotated and revoked, and the running server follows', async () => {
  const none = await keys('list');
  expect(none).toMatchObject({ code: 0, stdout: 'There is no key in the database.\n', stderr: '' });

  const limits = ['--requests-per-second', '50', '--inputs-per-minute', '600', '--expires', '90d'];
  const made = await keys('create', 'team-a', '--scope', 'classify', '--scope', 'read', ...limits);
  expect(made).toMatchObject({ code: 0 });
  // The secret alone, so that it can be put into a file.
  expect(made.stdout).toMatch(/^plim_[\w-]{43}\n$/);
  expect(made.stderr).toContain('shown this once');
  const secret = made.stdout.trim();
  await until('the server asks for the key', async () => (await statusWith('plim_none')) === 401);
  expect(await statusWith(secret)).toBe(200);

  const again = await keys('create', 'team-a');
  expect(again).toMatchObject({ code: 1, stdout: '' });
  expect(again.stderr).toContain('rotate');

  const rotated = await keys('rotate', 'team-a', '--grace', '1h');
  expect(rotated.stderr).toContain('works for 1h more');
  const renewed = rotated.stdout.trim();
  expect(renewed).not.toBe(secret);
  await until('the new secret is known', async () => (await statusWith(renewed)) === 200);
  expect(await statusWith(secret)).toBe(200);

  const day = (ms: number) => new Date(ms).toISOString().slice(0, 10);
  const listed = await keys('list');
  const days = 90 * 86_400_000;
  expect(rowsOf(listed.stdout)['team-a']).toEqual([
    ...['valid', 'classify,read', '50/s', '600/min', day(Date.now()), day(Date.now() + days)],
  ]);
  for (const shown of [secret, renewed]) expect(listed.stdout + listed.stderr).not.toContain(shown);

  expect(await keys('revoke', 'team-a')).toMatchObject({ code: 0 });
  const begunMs = performance.now();
  await until('it stops working', async () => (await statusWith(renewed)) === 401);
  expect(performance.now() - begunMs).toBeLessThan(2000);
  expect(await statusWith(secret)).toBe(401);
  expect(rowsOf((await keys('list')).stdout)['team-a']?.[0]).toBe('revoked');
  // Revoked keys leave the keys on.
  expect((await request(server, 'GET', '/v1/models')).status).toBe(401);
}, 120_000);

test.each([
  [['create', 'b', '--expires', 'soon'], 1, /--expires/],
  [['revoke', 'nobody'], 1, /nobody/],
  [['create'], 2, /name/],
] as const)('keys %j is refused with the reason', async (args, code, reason) => {
  const refused = await keys(...args);
  expect(refused).toMatchObject({ code, stdout: '' });
  expect(refused.stderr).toMatch(reason);
  expect(refused.stderr).not.toMatch(/^\s+at /m);
});
