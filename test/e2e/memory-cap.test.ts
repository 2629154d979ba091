/** A model whose longest texts would take more memory than half of the load line, served by a real server. */
import { cp, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Answer } from '../../src/contract/classify.js';
import { request, type Server, startServer, temporaryFolder, until } from './harness.js';
import { expectError } from './shapes.js';

/** Attention of 8,192 tokens takes 512 MB in each of its layers. */
const LONG_CONTEXT = fileURLToPath(
  new URL('../fixtures/reference/st-modernbert-mean', import.meta.url),
);
const LINE_MB = 512;
const TOO_LONG = 'word '.repeat(8000);

let server: Server;
let folder: string;
const ask = (model: string, inputs: string | readonly string[]) =>
  request<Answer>(server, 'POST', '/v1/classify', { body: { model, inputs } });

beforeAll(async () => {
  const models = await temporaryFolder();
  folder = path.join(models, 'long');
  await cp(LONG_CONTEXT, folder, { recursive: true });
  const file = path.join(folder, 'tokenizer_config.json');
  const config = JSON.parse(await readFile(file, 'utf8')) as object;
  await writeFile(file, JSON.stringify({ ...config, model_max_length: 8192 }));
  const settings = {
    'memory.load_line': `${LINE_MB}MB`,
    'memory.load_of': 'server',
    'request.deadline_ms': 120_000,
  };
  server = await startServer({ models, settings });
});

describe('a text that would take more memory than there is', () => {
  test('is refused with its figures and the remedy; no worker ends, others are answered', async () => {
    expect((await ask('long', 'a short text')).status).toBe(200);
    const refused = [ask('long', TOO_LONG), ask('long', ['short', TOO_LONG])];
    const beside = ask('long', 'another short text');
    for (const reply of await Promise.all(refused)) {
      expect(reply.status).toBe(422);
      expectError(
        reply,
        'INVALID_INPUT',
        /has \d{4} tokens; here \d+ fit into memory.*\d+ MB.*raise the load line.*max_tokens in its plimsoll\.json/,
      );
    }
    expect((await beside).status).toBe(200);
    expect(server.logs.filter(({ msg }) => /worker.*(ended|killed|replaced)/.test(msg))).toEqual(
      [],
    );
  });

  test('the other doors say it in their own words', async () => {
    const reply = await request<{ error_type: string }>(server, 'POST', '/tei/long/predict', {
      body: { inputs: TOO_LONG },
    });
    expect(reply).toMatchObject({ status: 422, body: { error_type: 'Validation' } });
    expect(reply.text).toMatch(/fit into memory.*max_tokens/);
  });

  test('with the remedy it is cut to what fits, and answered', async () => {
    const [, fits = ''] = /; here (\d+) fit/.exec((await ask('long', TOO_LONG)).text) ?? [];
    expect(Number(fits)).toBeGreaterThan(0);
    await writeFile(
      path.join(folder, 'plimsoll.json'),
      JSON.stringify({ max_tokens: Number(fits) }),
    );
    const answer = await until('the file is read', async () => {
      const reply = await ask('long', TOO_LONG);
      return reply.status === 200 ? reply.body : undefined;
    });
    expect(answer.truncated).toEqual([true]);
  });
});
