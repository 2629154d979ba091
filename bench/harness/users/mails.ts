/** The held-out mails of the bundled model: real texts of mixed length. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { bundledFolder } from '../models.js';

export function realMails(): readonly string[] {
  const file = path.join(bundledFolder, 'held-out', 'mails.jsonl.gz');
  const lines = gunzipSync(readFileSync(file)).toString('utf8').split('\n');
  return lines
    .filter((line) => line !== '')
    .map((line) => String((JSON.parse(line) as { readonly text: string }).text));
}

/** 2^5 pairs: the order below takes every number of so many bits once. */
const PAIR_BITS = 5;

/**
 * 64 mails with the lengths of all, in an order in which every stretch has long and short ones in equal
 * parts: sorted by length, taken in bit-reversed order (van der Corput's sequence), each followed by its
 * counterpart from the other end. A loop that reads 40 of them and one that reads 80 have the same work
 * for each mail, to 1.5 %. In the order of the file, two loops of some seconds read other mails, which
 * alone made their rates differ by up to a tenth.
 */
export function spreadMails(): readonly string[] {
  const sorted = [...realMails()].sort((a, b) => a.length - b.length);
  const pairs = 2 ** PAIR_BITS;
  const mailAt = (rank: number) =>
    sorted[Math.floor(((rank + 0.5) / (2 * pairs)) * sorted.length)] ?? '';
  return Array.from({ length: pairs }, (_, pair) => {
    const bits = [...pair.toString(2).padStart(PAIR_BITS, '0')];
    const rank = Number.parseInt(bits.reverse().join(''), 2);
    return [mailAt(rank), mailAt(2 * pairs - 1 - rank)];
  }).flat();
}

/** The mails in order, again and again. */
export function mailSource(mails: readonly string[], start = 0): () => string {
  let next = start;
  return () => mails[next++ % mails.length] ?? '';
}

/**
 * The mails with a number in front: no two are alike. Equal texts that wait at the same time are computed
 * once, so a flood of 10,000 inputs made of 400 mails would be the work of 400.
 */
export function distinctMails(mails: readonly string[]): () => string {
  const next = mailSource(mails);
  let count = 0;
  return () => {
    count += 1;
    return `${count} ${next()}`;
  };
}
