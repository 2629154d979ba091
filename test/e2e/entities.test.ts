/** Models that classify tokens (test/fixtures/reference/ner-…), by graph and by safetensors, served by a real server. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ModelDetail } from '../../src/contract/models.js';
import { get, post, request, type Server, startServer } from './harness.js';
import { expectError } from './shapes.js';

const FOLDERS = fileURLToPath(new URL('../fixtures/reference', import.meta.url));
const names = readdirSync(FOLDERS).filter((name) => name.startsWith('ner-'));
const WEIGHTS = '-weights';
/** Folders with a graph are served a second time, without it. */
const served = names.flatMap((name) =>
  existsSync(path.join(FOLDERS, name, 'onnx')) ? [name, `${name}${WEIGHTS}`] : [name],
);

type ExpectedEntity = readonly [string, number, string, number, number, number?];

interface Expected {
  readonly tolerance: number;
  readonly texts: readonly string[];
  readonly token_classification: readonly {
    readonly text: number;
    readonly aggregation_strategy: string;
    readonly stride?: number;
    readonly ignore_labels?: readonly string[];
    readonly entities: readonly ExpectedEntity[];
  }[];
}

interface ShownEntity {
  readonly entity?: string;
  readonly entity_group?: string;
  readonly score: number;
  readonly word: string;
  readonly start: number;
  readonly end: number;
  readonly index?: number;
}

let server: Server;
let models: string;

beforeAll(async () => {
  models = mkdtempSync(path.join(tmpdir(), 'plimsoll-entities-'));
  for (const name of served) {
    const target = path.join(models, name);
    mkdirSync(target);
    cpSync(path.join(FOLDERS, name.replace(WEIGHTS, '')), target, {
      recursive: true,
      filter: (file) => !name.endsWith(WEIGHTS) || path.basename(file) !== 'onnx',
    });
  }
  // Answers are kept: the same text with other options must not get another's.
  server = await startServer({ models });
}, 300_000);

afterAll(() => rmSync(models, { recursive: true, force: true }));

function expectSame(found: readonly ShownEntity[], right: readonly ExpectedEntity[], off: number) {
  expect(
    found.map(({ entity, entity_group: group, word, start, end, index }) => [
      ...[entity ?? group, word, start, end, index],
    ]),
  ).toEqual(right.map(([label, , word, start, end, index]) => [label, word, start, end, index]));
  for (const [at, [label, score]] of right.entries()) {
    expect(Math.abs((found[at]?.score ?? 9) - score), label).toBeLessThanOrEqual(off);
  }
}

function ask<T>(model: string, inputs: unknown, parameters: object): Promise<T> {
  return post<T>(server, `/hf/${model}`, { inputs, parameters });
}

describe.each(served)('%s', (name) => {
  const file = path.join(FOLDERS, name.replace(WEIGHTS, ''), 'expected.json');
  const {
    texts,
    token_classification: items,
    tolerance,
  } = JSON.parse(readFileSync(file, 'utf8')) as Expected;

  test('gives the entities of the pipeline, all in one request and alone', async () => {
    const byOptions = new Map<string, (typeof items)[number][]>();
    for (const item of items) {
      const { aggregation_strategy, stride, ignore_labels } = item;
      const key = JSON.stringify({ aggregation_strategy, stride, ignore_labels });
      byOptions.set(key, [...(byOptions.get(key) ?? []), item]);
    }
    expect(byOptions.size).toBeGreaterThan(5);
    for (const [options, group] of byOptions) {
      const parameters = JSON.parse(options) as object;
      const inputs = group.map(({ text }) => texts[text] ?? '');
      const together = await ask<(readonly ShownEntity[])[]>(name, inputs, parameters);
      for (const [at, { entities }] of group.entries()) {
        expectSame(together[at] ?? [], entities, tolerance);
      }
      const alone = await ask<readonly ShownEntity[]>(name, inputs[0], parameters);
      expectSame(alone, group[0]?.entities ?? [], tolerance);
    }
  });

  test('says its task', async () => {
    const { task, decisions } = await get<ModelDetail>(server, `/v1/models/${name}`);
    expect(task).toBe('token-classification');
    const value = 'token-classification';
    expect(decisions).toContainEqual({ about: 'task', value, from: 'config.json: architectures' });
  });
});

describe('what is refused', () => {
  const model = names[0] ?? '';
  const calling = (inputs: string, parameters: object) =>
    request(server, 'POST', `/hf/${model}`, { body: { inputs, parameters } });

  test('a text with more chunks than it may have, and the next one is answered', async () => {
    const long = 'Mara Quill met Tobias Renn in Lisbon. '.repeat(2000);
    const reply = await calling(long, { aggregation_strategy: 'simple', stride: 61 });
    expect(reply.status).toBe(422);
    expect(reply.text).toContain('more than 512 chunks');
    expect((await calling('Lisbon', {})).status).toBe(200);
  });

  test('a stride that leaves nothing of a chunk, or has nothing to join', async () => {
    const none = await calling('Lisbon', { aggregation_strategy: 'none', stride: 8 });
    expect(none.status).toBe(400);
    const wide = await calling('Lisbon', { aggregation_strategy: 'max', stride: 62 });
    expect(wide.status).toBe(422);
    expect(wide.text).toContain('from 0 to 61');
  });

  test('scores of whole texts', async () => {
    const body = { model, inputs: 'Lisbon' };
    const reply = await request(server, 'POST', '/v1/classify', { body });
    expectError(reply, 'TASK_NOT_SUPPORTED', /token-classification/);
  });
});
