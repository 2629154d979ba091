/** Every folder of test/fixtures/models, compiled and run in both gears, alone and all texts together. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from './folders.js';
import { served } from './served.js';

const FOLDERS = fileURLToPath(new URL('../../fixtures/models', import.meta.url));

interface Expected {
  readonly tolerance: number;
  readonly texts: readonly string[];
  readonly scores: readonly Readonly<Record<string, number>>[];
}

function expectedOf(id: string): Expected {
  return JSON.parse(readFileSync(path.join(FOLDERS, id, 'expected.json'), 'utf8')) as Expected;
}

/** Folders without a graph, and encoders, have tests of their refusals. */
const ids = readdirSync(FOLDERS).filter(
  (id) =>
    id !== 'README.md' &&
    !id.startsWith('tok-') &&
    !['encoder-only', 'pytorch-bin-only', 'safetensors-only'].includes(id),
);

function expectRight(
  found: readonly Readonly<Record<string, number>>[],
  rows: readonly number[],
  id: string,
) {
  const { scores, tolerance } = expectedOf(id);
  for (const [at, row] of rows.entries()) {
    const [mine, right] = [found[at] ?? {}, scores[row] ?? {}];
    expect(Object.keys(mine).sort()).toEqual(Object.keys(right).sort());
    for (const [label, score] of Object.entries(right)) {
      expect(Math.abs((mine[label] ?? 9) - score), `${label} of text ${row}`).toBeLessThanOrEqual(
        tolerance,
      );
    }
  }
}

describe('scores of the pipeline', () => {
  test.each(ids)(
    '%s',
    async (id) => {
      const model = await served(FOLDERS, id, temporaryFolder());
      const { texts } = expectedOf(id);
      const all = texts.map((_, row) => row);
      for (const ask of [model.ask, model.askHot]) {
        expectRight(await ask(texts), all, id);
        for (const row of all) expectRight(await ask([texts[row] ?? '']), [row], id);
      }
      await model.release();
    },
    180_000,
  );
});

test('rows that ask for a side have the scores of a model that cuts there by itself', async () => {
  const model = await served(FOLDERS, 'control', temporaryFolder());
  for (const [side, id] of [
    ['left', 'truncation-left'],
    ['right', 'control'],
  ] as const) {
    const { texts } = expectedOf(id);
    const rows = texts.map((_, row) => row);
    expectRight(await model.ask(texts.map((text) => ({ text, side }))), rows, id);
  }
  const long = expectedOf('control').texts.at(-1) ?? '';
  const [left, right] = await model.ask([
    { text: long, side: 'left' },
    { text: long, side: 'right' },
  ]);
  expect(left).not.toEqual(right);
  await model.release();
}, 60_000);
