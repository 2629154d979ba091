import { TextEncoder } from '../../../src/models/run/tokenizer.js';
import type { CachedModel } from '../models.js';
import { realMails } from './mails.js';

/** Words of real mails that the model's tokenizer makes exactly so many tokens of, special ones included. */
export async function textOfTokens(model: CachedModel, tokens: number): Promise<string> {
  const encoder = await TextEncoder.open(model.directory, tokens + 1);
  const words = realMails().join(' ').split(/\s+/);
  let text = '';
  for (const word of words) {
    const longer = text === '' ? word : `${text} ${word}`;
    const { ids, truncated } = encoder.encode(longer);
    if (truncated || ids.length > tokens) continue;
    text = longer;
    if (ids.length === tokens) return text;
  }
  throw new Error(`no text of ${tokens} tokens was found`);
}
