/** How many labels a head has where config.json does not list them as `transformers` writes it. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { compileSafetensors } from '../../../../../src/models/compile/compile-safetensors.js';
import { temporaryFolder } from '../../folders.js';

const FIXTURE = fileURLToPath(
  new URL('../../../../fixtures/reference/st-bert-5-multi-label', import.meta.url),
);
const NAMES = ['a', 'b', 'c', 'd', 'e'];

async function labelsOf(more: Readonly<Record<string, unknown>>, own?: readonly string[]) {
  const folder = path.join(temporaryFolder(), 'model');
  cpSync(FIXTURE, folder, { recursive: true });
  const file = path.join(folder, 'config.json');
  const config = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  for (const key of ['id2label', 'label2id', 'num_labels']) delete config[key];
  writeFileSync(file, JSON.stringify({ ...config, ...more }));
  if (own) writeFileSync(path.join(folder, 'plimsoll.json'), JSON.stringify({ labels: own }));
  return (await compileSafetensors(folder, temporaryFolder())).labels;
}

test('label2id alone, the owner’s names alone, and a number', async () => {
  const label2id = Object.fromEntries(NAMES.map((name, at) => [name, at]));
  expect(await labelsOf({ label2id })).toBe(5);
  expect(await labelsOf({}, NAMES)).toBe(5);
  expect(await labelsOf({ num_labels: 5 })).toBe(5);
});

test('none of them: refused with what there is, and what mends it', async () => {
  await expect(labelsOf({})).rejects.toThrow(/classifier\.weight is \[5, .*from_pretrained/);
});
