/** Comparing tokenizers takes a second; many folders of the tests have the same tokenizer. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  type Compared,
  type CompareTokenizers,
  compareTokenizers,
} from '../../../src/models/compile/compare-tokenizers.js';
import type { TokenizerFiles } from '../../../src/models/intake/tokenizer-files.js';

const known = new Map<string, Promise<Compared>>();

/** The comparison that the server makes, once for each content of the files. */
export const comparedOnce: CompareTokenizers = async (files, because) => {
  const key = await contentOf(files, because);
  const found = known.get(key) ?? compareTokenizers(files, because);
  known.set(key, found);
  return found;
};

async function contentOf(files: TokenizerFiles, because = ''): Promise<string> {
  const hash = createHash('sha256').update(because);
  for (const [name, file] of Object.entries(files)) {
    if (typeof file !== 'string') continue;
    // A file that cannot be read is the comparison's to refuse.
    hash.update(name).update(await readFile(file).catch(() => 'none'));
  }
  return hash.digest('hex');
}
