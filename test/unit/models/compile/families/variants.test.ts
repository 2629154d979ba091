/** Tiny models of each family, against the logits of transformers' own classes: see fixtures/families. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { compileSafetensors } from '../../../../../src/models/compile/compile-safetensors.js';
import { FAMILIES } from '../../../../../src/models/compile/families/registry.js';
import { temporaryFolder } from '../../folders.js';
import { distance, type Logits, openMapped, openRaw, type Row, run, runAlone } from '../graphs.js';

const FIXTURES = fileURLToPath(new URL('../../../../fixtures/families', import.meta.url));
const NAMES = readdirSync(FIXTURES, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);
/** Rounding of float32 in another order; the smallest mistake changes a logit by some thousandths. */
const TOLERANCE = 1e-5;

interface Expected {
  readonly rows: readonly Row[];
  readonly logits: readonly (readonly (number | readonly number[])[])[];
}

function read<T>(name: string, file: string): T {
  return JSON.parse(readFileSync(path.join(FIXTURES, name, file), 'utf8')) as T;
}

describe('the logits of transformers', () => {
  test.each(NAMES)('%s', async (name) => {
    const expected = read<Expected>(name, 'expected.json');
    const config = read<{ model_type: string; pad_token_id?: number }>(name, 'config.json');
    const logits: Logits = expected.logits.map((row) => row.flat());
    const pad = config.pad_token_id ?? 0;
    const folder = temporaryFolder();
    const raw = await compileSafetensors(path.join(FIXTURES, name), folder);
    for (const session of [await openRaw(raw), await openMapped(raw, folder)]) {
      expect(distance(await runAlone(session, expected.rows, pad), logits)).toBeLessThan(TOLERANCE);
      expect(distance(await run(session, expected.rows, pad), logits)).toBeLessThan(TOLERANCE);
    }
  });

  test('are there for every family', () => {
    const types = NAMES.map((name) => read<{ model_type: string }>(name, 'config.json').model_type);
    for (const { name, modelTypes } of FAMILIES) {
      expect(
        types.some((type) => modelTypes.includes(type)),
        name,
      ).toBe(true);
    }
  });
});
