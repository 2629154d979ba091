/** The entities of transformers' pipeline, by graph and by safetensors: of each text alone, and of all in one batch. */
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { Aggregation, Entity, TokenOptions } from '../../../../src/models/run/entities.js';
import { TokenEncoder } from '../../../../src/models/run/token-encoder.js';
import { temporaryFolder } from '../folders.js';
import { served } from '../served.js';

const FIXTURES = fileURLToPath(new URL('../../../fixtures/reference', import.meta.url));

type ExpectedEntity = readonly [string, number, string, number, number, number?];

interface Expected {
  readonly tolerance: number;
  readonly texts: readonly string[];
  readonly ids: readonly (readonly number[])[];
  readonly token_offsets: readonly (readonly number[])[];
  readonly chunks: Readonly<Record<string, readonly (readonly number[])[]>>;
  readonly token_classification: readonly {
    readonly text: number;
    readonly aggregation_strategy: Aggregation;
    readonly stride?: number;
    readonly ignore_labels?: readonly string[];
    readonly entities: readonly ExpectedEntity[];
  }[];
}

function expectedOf(name: string): Expected {
  return JSON.parse(readFileSync(path.join(FIXTURES, name, 'expected.json'), 'utf8')) as Expected;
}

const NAMES = readdirSync(FIXTURES).filter((name) => name.startsWith('ner-'));
const ROUTES = NAMES.flatMap((name) =>
  existsSync(path.join(FIXTURES, name, 'onnx'))
    ? [[name, 'graph'] as const, [name, 'safetensors'] as const]
    : [[name, 'safetensors'] as const],
);

/** A folder with the files of one route alone. */
function rootWith(name: string, route: 'graph' | 'safetensors'): string {
  const root = temporaryFolder();
  cpSync(path.join(FIXTURES, name), path.join(root, name), {
    recursive: true,
    filter: (file) =>
      !(route === 'graph' ? file.endsWith('.safetensors') : path.basename(file) === 'onnx'),
  });
  return root;
}

function optionsOf(item: Expected['token_classification'][number]): TokenOptions {
  return {
    aggregation: item.aggregation_strategy,
    ignoreLabels: item.ignore_labels ?? ['O'],
    ...(item.stride === undefined ? {} : { stride: item.stride }),
  };
}

function expectSame(
  found: readonly Entity[] | undefined,
  right: readonly ExpectedEntity[],
  tolerance: number,
): void {
  const plain = found?.map(({ label, word, start, end, index }) => [
    ...[label, word, start, end],
    ...(index === undefined ? [] : [index]),
  ]);
  expect(plain).toEqual(
    right.map(([label, , word, start, end, index]) => [
      ...[label, word, start, end],
      ...(index === undefined ? [] : [index]),
    ]),
  );
  for (const [at, [label, score]] of right.entries()) {
    expect(Math.abs((found?.[at]?.score ?? 9) - score), label).toBeLessThanOrEqual(tolerance);
  }
}

test('the fixtures hold as many outputs as they were made with', () => {
  const outputs = NAMES.map((name) => expectedOf(name).token_classification.length);
  expect(outputs.reduce((sum, count) => sum + count, 0)).toBe(245);
});

describe.each(ROUTES)('%s, %s', (name, route) => {
  test('gives the entities of the pipeline', async () => {
    const { texts, token_classification: items, tolerance } = expectedOf(name);
    const model = await served(rootWith(name, route), name, temporaryFolder());
    expect(model.model.description.task).toBe('token-classification');
    expect(model.findings.plan).toMatchObject({ perToken: true, grouping: 'together' });
    const asked = items.map(({ text }) => texts[text] ?? '');
    const options = items.map(optionsOf);
    const together = await model.entitiesOf(asked, options);
    for (const [at, item] of items.entries()) {
      expectSame(together[at]?.entities, item.entities, tolerance);
      const [alone] = await model.entitiesOf([asked[at] ?? ''], options.slice(at, at + 1));
      expectSame(alone?.entities, item.entities, tolerance);
    }
    await model.release();
  });
});

describe.each(NAMES)('tokens of %s', (name) => {
  test('have the ids, the places and the chunks of the reference', async () => {
    const { texts, ids, token_offsets: offsets, chunks } = expectedOf(name);
    const model = await served(rootWith(name, 'safetensors'), name, temporaryFolder());
    const encoder = await TokenEncoder.open(model.encoder);
    for (const [at, text] of texts.entries()) {
      const { chunks: rows } = await encoder.encode(text);
      expect(rows.map(({ encoding }) => encoding.ids)).toEqual([ids[at]]);
      const places = rows[0]?.tokens.flatMap(({ start, end }) => [start, end]);
      // Two for each special token around the text, at the beginning and at the end.
      expect(places).toEqual(offsets[at]?.slice(2, -2));
    }
    const long = texts.at(-1) ?? '';
    expect(Object.keys(chunks).length).toBeGreaterThan(0);
    for (const [stride, expected] of Object.entries(chunks)) {
      const { chunks: rows } = await encoder.encode(long, Number(stride));
      expect(rows.map(({ encoding }) => encoding.ids)).toEqual(expected);
    }
    await model.release();
  });
});
