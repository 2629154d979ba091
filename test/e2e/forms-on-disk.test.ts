/** What may happen to the mapped forms on disk, and to the disk itself. */
import { spawn, spawnSync } from 'node:child_process';
import { cp, open, readdir, rm, truncate } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, inject, test } from 'vitest';
import type { ErrorBody } from '../../src/contract/errors.js';
import { classify, request, type Server, startServer, temporaryFolder, until } from './harness.js';
import { cleanEnvironment, exitOf, MAIN } from './processes.js';

const TEXT = 'WINNER! Claim your prize now, text YES to 80082';

interface Told {
  readonly model: string;
  readonly reason: string;
}

/** What the server has said of forms that it replaced. */
function replacedBy({ logs }: Server): readonly Told[] {
  return logs
    .filter(({ msg }) => msg.startsWith('a mapped form is missing or damaged'))
    .map(({ model, reason }) => ({ model: String(model), reason: String(reason) }));
}

function preparedBy({ logs }: Server): number {
  return logs.filter(({ msg }) => msg === 'preparing the mapped form').length;
}

/** The weights of the only form of the bundled model. */
async function weightsIn(data: string): Promise<string> {
  const folder = path.join(data, 'mapped', 'spam');
  const [form = ''] = (await readdir(folder)).filter((name) => /^[0-9a-f]{16}$/.test(name));
  return path.join(folder, form, 'weights.bin');
}

async function flipBits(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  const { size } = await handle.stat();
  // Everywhere, so that whatever a text needs is wrong; the sizes stay.
  const page = Buffer.alloc(64);
  for (let at = 0; at + page.length < size; at += 4096) {
    await handle.read(page, 0, page.length, at);
    await handle.write(
      page.map((byte) => byte ^ 0x5a),
      0,
      page.length,
      at,
    );
  }
  await handle.close();
}

async function scoresOf(server: { readonly url: string }, text = TEXT) {
  const { results } = await classify(server, text);
  return results;
}

describe('a form that was damaged', () => {
  test('by a deletion, a cut or flipped bits is made anew, told, and answers as before', async () => {
    let server = await startServer();
    const { data } = server;
    const right = await scoresOf(server);
    expect(preparedBy(server)).toBe(0);

    // The whole folder, while it is in use: whoever asks next gets an answer.
    await rm(path.join(data, 'mapped'), { recursive: true });
    let count = 0;
    await until('it is noticed', async () => {
      count += 1;
      await scoresOf(server, `${TEXT} ${count}`);
      return replacedBy(server).length > 0 || undefined;
    });
    expect(replacedBy(server)[0]?.reason).toMatch(/is missing$/);
    expect(await scoresOf(server)).toEqual(right);
    expect(preparedBy(server)).toBe(1);

    // A cut, found when a worker opens the model.
    expect((await request(server, 'POST', '/v1/models/spam/unload')).status).toBeLessThan(300);
    await truncate(await weightsIn(data), 4096);
    await request(server, 'DELETE', '/v1/cache');
    expect(await scoresOf(server)).toEqual(right);
    expect(replacedBy(server)[1]?.reason).toMatch(/^weights\.bin has 4096 bytes instead of \d+$/);
    await server.stop();

    // Flipped bits, found by reading.
    await flipBits(await weightsIn(data));
    server = await startServer({ data });
    await until('it is noticed', () => replacedBy(server).length > 0 || undefined);
    expect(replacedBy(server)[0]?.reason).toBe('the contents of weights.bin have changed');
    expect(await scoresOf(server)).toEqual(right);
    const { body } = await request<{ events: readonly { text: string }[] }>(
      server,
      'GET',
      '/v1/events/past?kind=form_replaced',
    );
    expect(body.events.length).toBeGreaterThan(0);
    await server.stop();
  });
});

describe('a data folder', () => {
  test('that was copied is used as it is', async () => {
    const data = path.join(await temporaryFolder(), 'copy');
    await cp(inject('preparedForms'), path.join(data, 'mapped'), { recursive: true });
    const sources = path.join(data, 'mapped', 'spam', 'sources.json');
    await rm(sources);
    const server = await startServer({ data });
    await scoresOf(server);
    expect(preparedBy(server)).toBe(0);
    expect(replacedBy(server)).toEqual([]);
    // Its files were read once: the next start need not.
    expect(await readdir(path.dirname(sources))).toContain('sources.json');
    await server.stop();
  });

  test('that two servers share has each model prepared once', async () => {
    const data = await temporaryFolder();
    const servers = await Promise.all([1, 2].map(() => startServer({ data })));
    const answers = await Promise.all(servers.map((server) => scoresOf(server)));
    expect(answers[0]).toEqual(answers[1]);
    expect(servers.map(preparedBy).reduce((sum, each) => sum + each, 0)).toBe(1);
    await Promise.all(servers.map((server) => server.stop()));
  });
});

const canMount = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;

test.skipIf(!canMount)(
  'a full disk is no failure of the model: it is served when there is room (needs the right to mount)',
  async () => {
    const data = await temporaryFolder();
    const script = 'mount -t tmpfs -o size=3m tmpfs "$1" && shift && exec "$0" "$@"';
    const child = spawn(
      'unshare',
      [
        ...['-m', '/bin/sh', '-c', script, process.execPath, data, MAIN, 'serve'],
        ...['--port', '0', '--data', data, '--set', 'log.format=json'],
      ],
      { env: cleanEnvironment(), stdio: ['ignore', 'pipe', 'ignore'] },
    );
    let printed = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
    const closed = exitOf(child);
    const address = () => /"address":"(http:[^"]+)"/.exec(printed)?.[1];
    const url = await until('it listens', address, 60_000);
    const body = { model: 'spam', inputs: [TEXT] };
    const refused = await request<ErrorBody>({ url }, 'POST', '/v1/classify', { body });
    expect(refused.status).toBe(503);
    expect(refused.body.error.code).toBe('STORAGE_UNAVAILABLE');
    expect(refused.body.error.message).toMatch(/no room.*\d+ MB are free.*make room/);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    const enlarge = ['-t', String(child.pid), '-m', 'mount', '-o', 'remount,size=200m', data];
    expect(spawnSync('nsenter', enlarge).status).toBe(0);
    const served = async () => {
      const { status } = await request({ url }, 'POST', '/v1/classify', { body });
      return status === 200 || undefined;
    };
    await until('it is served', served, 60_000);
    child.kill('SIGTERM');
    expect(await closed).toEqual({ code: 0, signal: null });
  },
);
