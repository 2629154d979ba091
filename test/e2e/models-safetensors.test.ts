/** Models that come as safetensors alone (test/fixtures/reference), served by a real server. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Answer } from '../../src/contract/classify.js';
import type { ModelDetail } from '../../src/contract/models.js';
import { get, post, request, type Server, startServer } from './harness.js';
import { expectError } from './shapes.js';

const FOLDERS = fileURLToPath(new URL('../fixtures/reference', import.meta.url));
const names = readdirSync(FOLDERS, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);
/** The first of each architecture: the unit tests have the scores of every folder. */
const classifiers = [
  ...new Map(
    names
      .filter((name) => name.startsWith('st-'))
      .reverse()
      .map((name) => [architectureOf(name), name] as const),
  ).values(),
];
const refused = names.filter((name) => name.startsWith('bad-'));

/** Texts that are asked for one by one as well. */
const ALONE = 3;

interface Expected {
  readonly tolerance: number;
  readonly texts: readonly string[];
  readonly scores: readonly Readonly<Record<string, number>>[];
}

function architectureOf(name: string): string {
  const config = JSON.parse(readFileSync(path.join(FOLDERS, name, 'config.json'), 'utf8')) as {
    readonly model_type?: string;
  };
  return config.model_type ?? name;
}

let server: Server;
let models: string;

beforeAll(async () => {
  models = mkdtempSync(path.join(tmpdir(), 'plimsoll-safetensors-'));
  for (const name of [...classifiers, ...refused]) {
    const target = path.join(models, name);
    mkdirSync(target);
    cpSync(path.join(FOLDERS, name), target, { recursive: true });
    rmSync(path.join(target, 'onnx'), { recursive: true, force: true });
  }
  server = await startServer({ models, settings: { 'cache.max_size': 0 } });
}, 300_000);

afterAll(() => rmSync(models, { recursive: true, force: true }));

describe.each(classifiers)('%s', (name) => {
  const file = path.join(FOLDERS, name, 'expected.json');
  const { texts, scores, tolerance } = JSON.parse(readFileSync(file, 'utf8')) as Expected;

  test('gives the scores of its own library, alone and all in one request', async () => {
    const body = { model: name, inputs: texts };
    const together = await post<Answer>(server, '/v1/classify', body);
    const alone: Answer['results'][number][] = [];
    for (const inputs of texts.slice(0, ALONE)) {
      const { results } = await post<Answer>(server, '/v1/classify', { model: name, inputs });
      alone.push(...results);
    }
    for (const [index, expected] of scores.entries()) {
      for (const result of [together.results[index], alone[index]]) {
        if (result === undefined && index >= ALONE) continue;
        const got = Object.fromEntries((result ?? []).map((of) => [of.label, of.score]));
        expect(Object.keys(got).sort()).toEqual(Object.keys(expected).sort());
        for (const [label, score] of Object.entries(expected)) {
          expect(Math.abs((got[label] ?? Number.NaN) - score)).toBeLessThan(tolerance);
        }
      }
    }
  });

  test('says that it was compiled, and of what', async () => {
    const model = await get<ModelDetail>(server, `/v1/models/${name}`);
    expect(model.graph).toMatch(/^model\.safetensors/);
    expect(model.graph_reason).toMatch(/one is written for its safetensors/);
  });
});

test.each(refused)('%s is refused with a reason, and the server goes on', async (name) => {
  const reply = await request(server, 'POST', '/v1/classify', {
    body: { model: name, inputs: 'a text' },
  });
  expectError(reply, 'MODEL_UNUSABLE');
  expect(JSON.stringify(reply.body).length).toBeGreaterThan(80);
  expect((await request(server, 'GET', '/health/ready')).status).toBe(200);
});
