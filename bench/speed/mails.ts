/** The held-out mails of the bundled model: real texts of mixed length. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { CachedModel } from '../harness/models.js';
import { projectFolder } from '../harness/program.js';

export const bundledFolder = path.join(projectFolder, 'models', 'spam');

export const bundledModel: CachedModel = { id: 'spam', directory: bundledFolder, bytes: 0 };

export function realMails(): readonly string[] {
  const file = path.join(bundledFolder, 'held-out', 'mails.jsonl.gz');
  const lines = gunzipSync(readFileSync(file)).toString('utf8').split('\n');
  return lines
    .filter((line) => line !== '')
    .map((line) => String((JSON.parse(line) as { readonly text: string }).text));
}

/** 32 pairs: a power of two, so that the order below is one of all of them. */
const SPREAD_BITS = 5;

/**
 * 64 mails with the lengths of all, in an order in which any stretch has long and short ones in like parts:
 * sorted by length, then taken in bit-reversed order (van der Corput's sequence), each with its counterpart
 * from the other end. Who reads 40 of them and who reads 80 have had the same work for each, to 1.5 %. In the
 * order of the file two loops of some seconds meet other mails, and their rates differ by up to a tenth
 * for nothing but that.
 */
export function spreadMails(): readonly string[] {
  const sorted = [...realMails()].sort((a, b) => a.length - b.length);
  const pairs = 2 ** SPREAD_BITS;
  const mailAt = (rank: number) =>
    sorted[Math.floor(((rank + 0.5) / (2 * pairs)) * sorted.length)] ?? '';
  return Array.from({ length: pairs }, (_, pair) => {
    const bits = [...pair.toString(2).padStart(SPREAD_BITS, '0')];
    const rank = Number.parseInt(bits.reverse().join(''), 2);
    return [mailAt(rank), mailAt(2 * pairs - 1 - rank)];
  }).flat();
}

/** The mails without end, in order; the cache is off where they are used. */
export function mailSource(mails: readonly string[], start = 0): () => string {
  let next = start;
  return () => mails[next++ % mails.length] ?? '';
}

/**
 * The same, numbered: no two are alike. Where many wait at once, equal texts would be computed once for all
 * of them, so that 10,000 inputs of 400 mails were the work of 400.
 */
export function distinctMails(mails: readonly string[]): () => string {
  const next = mailSource(mails);
  let count = 0;
  return () => {
    count += 1;
    return `${count} ${next()}`;
  };
}
