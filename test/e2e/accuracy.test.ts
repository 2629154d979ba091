import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Answer } from '../../src/contract/classify.js';
import { classify, type Server, startServer, topLabel } from './harness.js';
import { heldOutMails, SPAM } from './texts.js';

/** Figures of the held-out sample as the training program measured them. */
interface SampleFigures {
  readonly n: number;
  readonly tp: number;
  readonly fp: number;
  readonly tn: number;
  readonly fn: number;
}

const mails = heldOutMails();
/** Mails that may fall on the other side: float sums differ between machines. */
const TOLERATED = 1;
const SAME_SCORE = 1e-4;
let server: Server;
let batched: readonly Answer['results'][number][];
let single: readonly Answer['results'][number][];

/** What the training program measured on these very mails. */
function sampleFigures(): SampleFigures {
  const metrics = JSON.parse(readFileSync(`${SPAM}/metrics.json`, 'utf8')) as {
    readonly sample: SampleFigures;
  };
  expect(metrics.sample.n).toBe(mails.length);
  return metrics.sample;
}

/** In batches of many sizes, so that a mail shares its batch with others. */
async function classifyBatched(): Promise<readonly Answer['results'][number][]> {
  const results: Answer['results'][number][] = [];
  for (let size = 1; results.length < mails.length; size = (size % 37) + 9) {
    const part = mails.slice(results.length, results.length + size);
    const answer = await classify(
      server,
      part.map(({ text }) => text),
    );
    results.push(...answer.results);
  }
  return results;
}

/** One by one, several at a time. */
async function classifySingly(): Promise<readonly Answer['results'][number][]> {
  const results: Answer['results'][number][] = Array.from({ length: mails.length }, () => []);
  let next = 0;
  const user = async (name: string) => {
    for (let index = next++; index < mails.length; index = next++) {
      const answer = await classify(server, mails[index]?.text ?? '', { user: name });
      results[index] = answer.results[0] ?? [];
    }
  };
  await Promise.all(['ann', 'bob', 'cy', 'dee'].map(user));
  return results;
}

beforeAll(async () => {
  // Without a cache the second time is computed like the first.
  server = await startServer({ settings: { 'cache.max_size': '0' } });
  batched = await classifyBatched();
  single = await classifySingly();
}, 300_000);

describe(`the ${mails.length} held-out mails`, () => {
  test('get the same label and score alone and among others', () => {
    expect(mails.length).toBeGreaterThan(100);
    for (const [index, mail] of mails.entries()) {
      const [alone, among] = [single[index] ?? [], batched[index] ?? []];
      const scores = new Map(among.map(({ label, score }) => [label, score]));
      for (const { label, score } of alone) {
        const off = Math.abs(score - (scores.get(label) ?? -1));
        expect(off, `${mail.id} ${label}`).toBeLessThanOrEqual(SAME_SCORE);
      }
      expect(topLabel(among), mail.id).toBe(topLabel(alone));
    }
  });

  test('are told apart as well as the card says', () => {
    const measured = { tp: 0, fp: 0, tn: 0, fn: 0 };
    for (const [index, { label }] of mails.entries()) {
      const guess = topLabel(batched[index]);
      if (label === 'spam') measured[guess === 'spam' ? 'tp' : 'fn'] += 1;
      else measured[guess === 'spam' ? 'fp' : 'tn'] += 1;
    }
    const card = sampleFigures();
    const off = (Object.keys(measured) as (keyof typeof measured)[]).reduce(
      (sum, cell) => sum + Math.abs(measured[cell] - card[cell]),
      0,
    );
    // A mail that changes sides leaves one cell and enters another.
    expect(off, JSON.stringify({ measured, card })).toBeLessThanOrEqual(2 * TOLERATED);
    const f1 = ({ tp, fp, fn }: typeof measured) => (2 * tp) / (2 * tp + fp + fn);
    expect(Math.abs(f1(measured) - f1(card))).toBeLessThanOrEqual(2 / mails.length);
  });
});
