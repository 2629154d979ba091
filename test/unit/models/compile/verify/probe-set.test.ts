import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import {
  builtInPairs,
  builtInProbes,
  builtInTexts,
  ownProbes,
  probeKindOf,
} from '../../../../../src/models/compile/verify/probe-set.js';
import { isPair } from '../../../../../src/models/run/row-input.js';
import { temporaryFolder } from '../../folders.js';

test.each([
  [['entailment', 'neutral', 'contradiction'], true, 'pairs'],
  [['not_entailment', 'Entailment'], true, 'pairs'],
  [['not_duplicate', 'duplicate'], true, 'pairs'],
  [['entailment', 'neutral'], false, 'texts'],
  [['LABEL_0'], true, 'both'],
  [['relevance'], true, 'both'],
  [['LABEL_0', 'LABEL_1'], true, 'both'],
  [['ham', 'spam'], true, 'texts'],
  [['positive', 'neutral', 'negative'], true, 'texts'],
] as const)('%j, takes pairs: %s, is probed with %s', (labels, takesPairs, kind) => {
  expect(probeKindOf(labels, takesPairs)).toBe(kind);
});

test('pairs are as many and as varied as texts, and the same each time', () => {
  const pairs = builtInPairs();
  expect(pairs).toEqual(builtInPairs());
  expect(pairs).toHaveLength(builtInTexts().length);
  expect(pairs.every(isPair)).toBe(true);
  const second = pairs.filter(isPair);
  expect(second.some(({ text, pair }) => text === pair)).toBe(true);
  expect(new Set(second.map(({ pair }) => pair)).size).toBeGreaterThan(pairs.length / 2);
  const both = builtInProbes('both');
  expect(both).toHaveLength(pairs.length);
  expect(Math.abs(both.filter(isPair).length - both.length / 2)).toBeLessThanOrEqual(1);
  expect(builtInProbes('texts').some(isPair)).toBe(false);
});

test('an owner may give texts and pairs', async () => {
  const folder = temporaryFolder();
  const file = path.join(folder, 'probe.jsonl');
  writeFileSync(file, '"a"\n{"text": "b"}\n{"text": "c", "text_pair": "d"}\n');
  expect(await ownProbes(folder)).toEqual([
    'a',
    'b',
    { text: 'c', pair: 'd', cut: 'longest_first' },
  ]);
  writeFileSync(file, '{"text": "c", "text_pair": 4}\n');
  await expect(ownProbes(folder)).rejects.toThrow(/line 1 is neither .*text_pair/);
});
