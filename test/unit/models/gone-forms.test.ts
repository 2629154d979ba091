import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { lockFolder } from '../../../src/models/compile/forms/folder-lock.js';
import { MappedForms } from '../../../src/models/compile/mapped-form.js';
import { formsOf, formsOfOthers, removeForms } from '../../../src/models/gone-forms.js';
import { DEFAULT_BOUNDS } from './default-bounds.js';
import { aModel } from './described.js';

test('forms of models that are there stay, of every type; those being written too', async () => {
  const data = mkdtempSync(path.join(tmpdir(), 'plimsoll-forms-'));
  const folder = (name: string) => path.join(data, 'mapped', name);
  for (const name of ['spam', 'spam@q8', 'org~name', 'org~gone@fp16', 'org~busy']) {
    mkdirSync(path.join(folder(name), 'form'), { recursive: true });
    writeFileSync(path.join(folder(name), 'form', 'weights.bin'), 'x'.repeat(5000));
  }
  mkdirSync(path.join(folder('org~busy'), '.partial-1'));
  const gone = await formsOfOthers(data, ['spam', 'org/name']);
  expect(gone.map(({ name }) => name)).toEqual(['org~gone@fp16']);
  expect(gone[0]?.bytes).toBeGreaterThanOrEqual(5000);
  // What a server left half written long ago is nobody's.
  const longAgo = new Date(Date.now() - 3_600_000);
  utimesSync(path.join(folder('org~busy'), '.partial-1'), longAgo, longAgo);
  await removeForms(await formsOfOthers(data, ['spam', 'org/name']));
  const there = ['spam', 'spam@q8', 'org~name', 'org~gone@fp16', 'org~busy'].map((name) =>
    existsSync(folder(name)),
  );
  expect(there).toEqual([true, true, true, false, false]);
  expect((await formsOf(data, 'spam')).map(({ name }) => name)).toEqual(['spam', 'spam@q8']);
  expect(await formsOfOthers(path.join(data, 'nothing'), [])).toEqual([]);
  rmSync(data, { recursive: true });
});

test('the folders that forms really get are known by their models, whatever the bounds', async () => {
  const data = mkdtempSync(path.join(tmpdir(), 'plimsoll-forms-'));
  const forms = new MappedForms(data, 'runtime');
  const verification = { bounds: DEFAULT_BOUNDS, shipped: [], hasProbes: false };
  const odd = 'org/näme @1';
  for (const id of ['org/name', odd, 'org/gone']) {
    const model = aModel(id, { verification });
    mkdirSync(path.join(forms.folderOf(model), 'form'), { recursive: true });
  }
  const gone = await formsOfOthers(data, ['org/name', odd]);
  expect(gone.map(({ name }) => name)).toEqual(['org~gone@auto-99.5-0.05-1.1']);
  expect(await formsOf(data, 'org/name')).toHaveLength(1);
  expect(await formsOf(data, odd)).toHaveLength(1);
  rmSync(data, { recursive: true });
});

test('a folder is left while its model is being prepared, and goes afterwards', async () => {
  const data = mkdtempSync(path.join(tmpdir(), 'plimsoll-forms-'));
  const folder = (name: string) => path.join(data, 'mapped', name);
  for (const name of ['busy', 'idle'])
    mkdirSync(path.join(folder(name), 'form'), { recursive: true });
  const { signal } = new AbortController();
  const preparing = await lockFolder(folder('busy'), { waitMs: 0, signal });
  const left = await removeForms(await formsOfOthers(data, []));
  expect(left.map(({ name }) => name)).toEqual(['busy']);
  expect([existsSync(path.join(folder('busy'), 'form')), existsSync(folder('idle'))]).toEqual([
    true,
    false,
  ]);
  await preparing?.release();
  expect(await removeForms(await formsOf(data, 'busy'))).toEqual([]);
  expect(existsSync(folder('busy'))).toBe(false);
  rmSync(data, { recursive: true });
});
