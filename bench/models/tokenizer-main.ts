/**
 * Tokenizes mails and sends one message with what it took. Arguments: `js` or `native`, folder of a model,
 * folder of the native package.
 */
import { createRequire } from 'node:module';
import path from 'node:path';
import { describeModel } from '../../src/models/intake/description.js';
import { TextEncoder } from '../../src/models/run/tokenizer.js';
import { collectGarbage } from '../../src/system/own-process.js';
import { readOwnMemory } from '../../src/system/process-memory.js';
import { realMails } from '../harness/users/mails.js';
import type { TokenizerResult } from './tokenizer.js';

type Encode = (text: string) => readonly number[] | Promise<readonly number[]>;

/** The part of the package `tokenizers` that is used here. */
interface NativePackage {
  readonly Tokenizer: {
    fromFile(file: string): {
      setTruncation(maxTokens: number): void;
      encode(text: string, pair: null, options: object): Promise<{ getIds(): number[] }>;
    };
  };
}

/** Passes over all mails: the process is warm before the ones that count. */
const PASSES = { warm: 3, measured: 10 };
const MB = 2 ** 20;

const [kind = '', directory = '', nativeFolder = ''] = process.argv.slice(2);
const { maxTokens } = await describeModel(directory);

async function openJs(): Promise<Encode> {
  const encoder = await TextEncoder.open(directory, maxTokens);
  return (text) => encoder.encode(text).ids;
}

function openNative(): Encode {
  const require = createRequire(path.join(nativeFolder, 'package.json'));
  const { Tokenizer } = require('tokenizers') as NativePackage;
  const tokenizer = Tokenizer.fromFile(path.join(directory, 'tokenizer.json'));
  tokenizer.setTruncation(maxTokens);
  // Its only way to encode is a promise and a hop to its thread pool.
  return async (text) => (await tokenizer.encode(text, null, {})).getIds();
}

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
const encode = kind === 'js' ? await openJs() : openNative();
const openMs = performance.now() - begun;
const ids: string[] = [];
for (const mail of mails) ids.push((await encode(mail)).join());
const pass = async () => {
  for (const mail of mails) await encode(mail);
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
