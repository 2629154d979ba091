/** Tokenizers with a pattern that tracks back for ever on some texts: those are refused, and nobody else waits for them. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Answer } from '../../src/contract/classify.js';
import { isObject } from '../../src/models/intake/folder/json.js';
import { classify, get, request, type Server, startServer, temporaryFolder } from './harness.js';
import { copyModel } from './model-folders.js';
import { expectError } from './shapes.js';
import { textNumber } from './texts.js';

interface Slow {
  readonly id: string;
  readonly pattern: string;
  readonly text: string;
  /** How its tokenizer was chosen. */
  readonly chosen: RegExp;
}

const SLOW: readonly Slow[] = [
  {
    id: 'seen-while-preparing',
    pattern: '(?:x+x+)+y',
    text: `${'x'.repeat(60)}!`,
    chosen: /^native .*tracks back for ever/,
  },
  {
    id: 'seen-by-a-caller',
    // Nothing that tokenizers are compared by looks like that: the lean one is used, and hangs where the native one would end.
    pattern: '(?:(?:qz)+(?:qz)+)+w',
    text: `it is ${'qz'.repeat(60)} m`,
    chosen: /^javascript measured: the same tokens/,
  },
];

async function writeSlow(models: string, { id, pattern }: Slow): Promise<void> {
  const file = path.join(await copyModel(models, id), 'tokenizer.json');
  const tokenizer: unknown = JSON.parse(await readFile(file, 'utf8'));
  if (!isObject(tokenizer)) throw new Error('no tokenizer.json');
  const split = {
    ...{ type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
  };
  const pretokenizers = [tokenizer.pre_tokenizer, split];
  const changed = { ...tokenizer, pre_tokenizer: { type: 'Sequence', pretokenizers } };
  await writeFile(file, JSON.stringify(changed));
}

let server: Server;
beforeAll(async () => {
  const models = path.join(await temporaryFolder(), 'models');
  await mkdir(models, { recursive: true });
  await copyModel(models, 'spam');
  for (const slow of SLOW) await writeSlow(models, slow);
  server = await startServer({
    models,
    settings: { 'worker.count': 2, 'models.default': 'spam', 'session.max_users': 100 },
  });
  // Texts of a model take what they take here before one is said to take far longer.
  for (const model of ['spam', ...SLOW.map(({ id }) => id)]) {
    for (let n = 0; n < 5; n += 1) await classify(server, textNumber(n), { model });
  }
}, 300_000);
afterAll(() => server.stop());

test.each(SLOW)('$id: only its own request pays', async ({ id, text, chosen }) => {
  const ask = (body: Readonly<Record<string, unknown>>) =>
    request<Answer>(server, 'POST', '/v1/classify', { body });
  const bad = ask({ model: id, inputs: [textNumber(20), text], user: 'bad' });
  const neighbours = Array.from({ length: 6 }, (_, n) =>
    ask({ model: id, inputs: textNumber(30 + n), user: `good-${n}` }),
  );
  const others = Array.from({ length: 6 }, (_, n) =>
    ask({ inputs: textNumber(40 + n), user: `other-${n}` }),
  );
  for (const reply of await Promise.all([...neighbours, ...others])) {
    expect(reply.status, reply.text).toBe(200);
  }
  expectError(await bad, 'INPUT_REFUSED', /"inputs\[1\] /);
  expectError(await ask({ model: id, inputs: text }), 'INPUT_REFUSED', /"inputs\[0\] /);
  const { decisions } = await get<{
    decisions: readonly { about: string; value: string; from: string }[];
  }>(server, `/v1/models/${id}`);
  const tokenizer = decisions.find(({ about }) => about === 'tokenizer');
  expect(`${tokenizer?.value} ${tokenizer?.from}`).toMatch(chosen);
});
