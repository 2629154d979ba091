/** Tokenizes mails and sends one message with what it took. Arguments: `javascript` or `native`, folder of a tokenizer. */
import { TextEncoder } from '../../src/models/run/tokenizer.js';
import { collectGarbage } from '../../src/system/own-process.js';
import { readOwnMemory } from '../../src/system/process-memory.js';
import { realMails } from '../harness/users/mails.js';
import type { TokenizerResult } from './tokenizer.js';

/** Passes over all mails: the process is warm before the ones that count. */
const PASSES = { warm: 3, measured: 10 };
const MAX_TOKENS = 512;
const MB = 2 ** 20;

const [kind = '', directory = ''] = process.argv.slice(2);
if (kind !== 'javascript' && kind !== 'native') throw new Error(`${kind} is no tokenizer`);

async function privateMb(): Promise<number> {
  collectGarbage();
  return (await readOwnMemory()).privateBytes / MB;
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

const mails = realMails();
const before = await privateMb();
const begun = performance.now();
const encoder = await TextEncoder.open(directory, MAX_TOKENS, { kind });
const openMs = performance.now() - begun;
const ids: string[] = [];
for (const mail of mails) ids.push((await encoder.encodeAll([mail]))[0]?.ids.join() ?? '');
const pass = async () => {
  for (const mail of mails) await encoder.encodeAll([mail]);
};
for (let done = 0; done < PASSES.warm; done += 1) await pass();
const [cpuBefore, wallBefore] = [cpuMs(), performance.now()];
for (let done = 0; done < PASSES.measured; done += 1) await pass();
const texts = mails.length * PASSES.measured;
const result: TokenizerResult = {
  openMs,
  cpuMs: (cpuMs() - cpuBefore) / texts,
  wallMs: (performance.now() - wallBefore) / texts,
  privateMb: (await privateMb()) - before,
  ids,
};
process.send?.(result);
