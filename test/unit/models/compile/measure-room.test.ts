import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { measureRoom } from '../../../../src/models/compile/measure-room.js';
import { usualPlan } from '../../../../src/models/run/bindings.js';
import { MappedSession } from '../../../../src/models/run/onnx-session.js';
import { temporaryFolder } from '../folders.js';
import { type GraphForm, tinyGraph } from '../tiny-graph.js';

const PLENTY = { bytes: 2 ** 40, ms: 3_600_000 };
const row = (tokens: number) => ({
  ids: Array.from({ length: tokens }, (_, at) => at % 100),
  truncated: false,
});

async function roomOf(form: GraphForm, maxTokens: number, budget = PLENTY) {
  const file = path.join(temporaryFolder(), 'graph', 'model.onnx');
  mkdirSync(path.dirname(file));
  writeFileSync(file, tinyGraph(form));
  const session = await MappedSession.open(file, { threads: 1, arena: false });
  const plan = {
    ...usualPlan(session, 2),
    ...(form.length === undefined ? {} : { fixedLength: Number(form.length) }),
  };
  try {
    return await measureRoom(session, plan, row, maxTokens, budget);
  } finally {
    await session.release();
  }
}

describe('the longest text', () => {
  test.each([16, 512, 513, 3000])(
    'is as long as the files say where the graph takes that: %d',
    async (most) => {
      expect(await roomOf({}, most)).toEqual({ maxTokens: most });
    },
  );

  test('is as long as a fixed graph', async () => {
    expect(await roomOf({ length: 40 }, 512)).toEqual({ maxTokens: 40 });
  });

  test.each([5, 64, 300, 511, 700, 1400])(
    'is what a position table of %d rows takes',
    async (positions) => {
      expect(await roomOf({ positions }, 2048)).toEqual({ maxTokens: positions });
    },
  );

  test('of a graph that takes hardly any is refused', async () => {
    await expect(roomOf({ positions: 3 }, 512)).rejects.toThrow(/3 tokens at most/);
  });

  test('is capped before it takes more memory, or more time, than there is', async () => {
    for (const budget of [
      { ...PLENTY, bytes: 1 },
      { ...PLENTY, ms: 1e-9 },
    ]) {
      const { maxTokens, memoryCap } = await roomOf({}, 4096, budget);
      expect(maxTokens).toBe(4096);
      expect(memoryCap?.tokens).toBe(512);
    }
  });
});
