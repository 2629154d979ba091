import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Models } from '../../src/contract/models.js';
import { COMMIT, HubServer } from '../servers/hub.js';
import { classify, get, run, startServer, temporaryFolder } from './harness.js';
import { filesOfModel } from './hub-files.js';

interface Expected {
  readonly tolerance: number;
  readonly texts: readonly string[];
  readonly scores: readonly Readonly<Record<string, number>>[];
}

const FOLDER = fileURLToPath(new URL('../fixtures/models/control', import.meta.url));
const expected = JSON.parse(readFileSync(path.join(FOLDER, 'expected.json'), 'utf8')) as Expected;
let hub: HubServer;
let home: string;
let folder: string;

beforeAll(async () => {
  hub = await HubServer.start(filesOfModel('control'));
  folder = await temporaryFolder();
  home = path.join(folder, 'hf');
});

afterAll(async () => {
  await hub?.stop();
});

const environment = (more: Readonly<Record<string, string>> = {}) => ({
  ...{ HF_HOME: home, HF_ENDPOINT: hub.endpoint, HF_HUB_OFFLINE: '', ...more },
});

test('from an empty folder: fetched, served, and served again without a hub', async () => {
  const flags = ['--model', 'org/name'];
  const data = path.join(folder, 'data');
  const first = await startServer({ flags, data, environment: environment() });
  expect((await get<Models>(first, '/v1/models')).models.map(({ id }) => id)).toEqual(['org/name']);
  const { results, model } = await classify(first, expected.texts);
  expect(model).toBe('org/name');
  for (const [index, scores] of results.entries()) {
    for (const { label, score } of scores) {
      const right = expected.scores[index]?.[label] ?? Number.NaN;
      expect(Math.abs(score - right)).toBeLessThanOrEqual(expected.tolerance);
    }
  }
  expect(first.output()).toMatch(/org\/name: \d files of commit 0123456789ab/);
  // What programs read has only the log's lines.
  expect(first.logs.length).toBeGreaterThan(0);
  expect(await first.stop()).toEqual({ code: 0, signal: null });

  const requests = hub.seen.length;
  const offline = environment({ HF_HUB_OFFLINE: '1' });
  const second = await startServer({ flags, data, environment: offline });
  expect((await classify(second, expected.texts)).results).toEqual(results);
  await second.stop();
  expect(hub.seen).toHaveLength(requests);

  const nowhere = environment({ HF_ENDPOINT: 'http://127.0.0.1:9' });
  const pinned = ['--model', `org/name@${COMMIT}`];
  const third = await startServer({ flags: pinned, data, environment: nowhere });
  expect((await classify(third, expected.texts)).results).toEqual(results);
  await third.stop();
}, 60_000);

test('the same model as a folder gives the same answer, beside a folder of others', async () => {
  const both = await startServer({
    ...{ models: FOLDER, flags: ['--model', 'org/name'], environment: environment() },
  });
  const ids = (await get<Models>(both, '/v1/models')).models.map(({ id }) => id);
  expect(ids).toEqual(['control', 'org/name']);
  const [byFolder, byName] = await Promise.all(
    ids.map((model) => classify(both, 'a text for the model', { model })),
  );
  expect(byName?.results).toEqual(byFolder?.results);
  await both.stop();
}, 60_000);

test('a revision that the hub lacks: no start, and the reason', async () => {
  const flags = ['--data', path.join(folder, 'data-of-none'), '--model', 'org/name@v9'];
  const ended = await run(['serve', '--port', '0', ...flags], { environment: environment() });
  expect(ended.stderr).toMatch(/no such branch, tag or commit/);
  expect(ended.code).toBe(1);
});

test('offline with an empty cache: no start, and the reason', async () => {
  const ended = await run(
    ['serve', '--port', '0', '--data', path.join(folder, 'data'), '--model', 'org/name'],
    { environment: environment({ HF_HOME: path.join(folder, 'no-home'), HF_HUB_OFFLINE: '1' }) },
  );
  expect(ended.stderr).toMatch(/not in the cache.*HF_HUB_OFFLINE/);
  expect(ended.code).toBe(1);
  expect(readdirSync(folder)).not.toContain('no-home');
});
