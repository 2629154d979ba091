/** Which tokenizer is chosen where the lean one is slow, or sees added tokens otherwise. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { compareTokenizers } from '../../../../src/models/compile/compare-tokenizers.js';
import { isObject } from '../../../../src/models/intake/folder/json.js';
import { usualFiles } from '../../../../src/models/run/tokens/open-tokenizer.js';
import { temporaryFolder } from '../folders.js';

const CONTROL = fileURLToPath(new URL('../../../fixtures/models/control', import.meta.url));
const PLAIN = { single_word: false, lstrip: false, rstrip: false, normalized: false };

interface Change {
  readonly pre_tokenizer?: unknown;
  readonly added?: Readonly<Record<string, unknown>>;
}

/** The tokenizer of the control model, changed. */
function folderWith({ pre_tokenizer, added }: Change): string {
  const folder = temporaryFolder();
  const read: unknown = JSON.parse(readFileSync(path.join(CONTROL, 'tokenizer.json'), 'utf8'));
  if (!isObject(read) || !Array.isArray(read.added_tokens)) throw new Error('no tokenizer.json');
  const tokens = added === undefined ? [] : [{ id: 125, ...PLAIN, special: true, ...added }];
  const json = {
    ...{ ...read, added_tokens: [...read.added_tokens, ...tokens] },
    ...(pre_tokenizer === undefined ? {} : { pre_tokenizer }),
  };
  writeFileSync(path.join(folder, 'tokenizer.json'), JSON.stringify(json));
  return folder;
}

const chosenFor = (change: Change, limitMs?: number) =>
  compareTokenizers(usualFiles(folderWith(change)), undefined, limitMs);

test('a pattern that tracks back for ever gets the native tokenizer, in a bounded time', async () => {
  const split = { type: 'Split', pattern: { Regex: 'x*x*x*x*y' }, behavior: 'Isolated' };
  const pretokenizers = [{ type: 'BertPreTokenizer' }, { ...split, invert: false }];
  const { choice, why } = await chosenFor(
    { pre_tokenizer: { type: 'Sequence', pretokenizers } },
    5000,
  );
  expect(choice.kind).toBe('native');
  expect(why).toMatch(/the lean one takes too long: encoding the probe texts did not end/);
}, 60_000);

test('added tokens are tried, whatever they look like', async () => {
  const plain = await chosenFor({});
  const odd = await chosenFor({ added: { content: '@@url@@', single_word: true } });
  expect(plain.choice.kind).toBe('javascript');
  expect(odd.choice.kind).toBe('native');
  expect(odd.why).toContain('a@@url@@b');
}, 60_000);

const ALBERT = fileURLToPath(new URL('../../../fixtures/reference/st-albert', import.meta.url));

/** ALBERT's tokenizer, which takes the likeliest cut, with more entries. */
function likeliestWith(entries: readonly string[]): string {
  const folder = temporaryFolder();
  const read: unknown = JSON.parse(readFileSync(path.join(ALBERT, 'tokenizer.json'), 'utf8'));
  if (!isObject(read) || !isObject(read.model) || !Array.isArray(read.model.vocab)) {
    throw new Error('no tokenizer.json');
  }
  const known = new Set(read.model.vocab.map(([entry]: readonly [string]) => entry));
  const added = entries.filter((entry) => !known.has(entry)).map((entry) => [entry, -9.1]);
  const model = { ...read.model, vocab: [...read.model.vocab, ...added] };
  writeFileSync(path.join(folder, 'tokenizer.json'), JSON.stringify({ ...read, model }));
  return folder;
}

test('texts with two cuts that are equally likely are tried', async () => {
  const plain = await compareTokenizers(usualFiles(likeliestWith([])));
  expect(plain.choice.kind).toBe('javascript');
  const tied = await compareTokenizers(
    usualFiles(likeliestWith(['5', '55', 'w', 'ww', 'q', 'qq'])),
  );
  expect(tied.choice.kind).toBe('native');
  expect(tied.why).toMatch(/the lean one makes other tokens of "\((555|www|qqq)\)/);
}, 60_000);
