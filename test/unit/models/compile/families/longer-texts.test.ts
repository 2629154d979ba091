/** Models without a table of absolute positions take texts that are longer than `max_position_embeddings`. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../folders.js';
import { served } from '../../served.js';

const REFERENCE = fileURLToPath(new URL('../../../../fixtures/reference', import.meta.url));
const TEXT = 'a long text that goes on about the weather and the price of bread '.repeat(12);

async function scoresOf(changes: Readonly<Record<string, unknown>>) {
  const [root, scratch] = [temporaryFolder(), temporaryFolder()];
  const folder = path.join(root, 'model');
  cpSync(path.join(REFERENCE, 'st-deberta-v2'), folder, { recursive: true });
  const file = path.join(folder, 'config.json');
  const config = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  writeFileSync(file, JSON.stringify({ ...config, ...changes }));
  writeFileSync(path.join(folder, 'plimsoll.json'), JSON.stringify({ max_tokens: 128 }));
  const { ask, encoder, findings, release } = await served(root, 'model', scratch);
  const [row] = await encoder.encodeAll([TEXT]);
  const [scores] = await ask([TEXT]);
  await release();
  return { tokens: row?.ids.length ?? 0, maxTokens: findings.maxTokens, scores };
}

test('DeBERTa: as far as plimsoll.json allows, with the scores that a longer bound gives', async () => {
  // 64 positions; without max_relative_positions they are the largest distance as well.
  const short = await scoresOf({ max_relative_positions: -1 });
  expect(short).toMatchObject({ tokens: 128, maxTokens: 128 });
  const long = await scoresOf({ max_relative_positions: 64, max_position_embeddings: 512 });
  for (const [label, score] of Object.entries(long.scores ?? {})) {
    expect(short.scores?.[label]).toBeCloseTo(score, 6);
  }
});
