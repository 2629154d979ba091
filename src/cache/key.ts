import { createHmac } from 'node:crypto';

/**
 * The key of one cached result: HMAC-MD5 over the model's digest and the exact input.
 *
 * MD5 keys are short and fast, but plain MD5 has been broken for collisions since 2004: a caller
 * could craft two texts with one key, have the harmless one classified, and so decide what everyone
 * gets for the other. Keyed with a secret (RFC 2104) that callers do not know, they cannot compute
 * the key of any text; HMAC-MD5 stands against this (RFC 6151, section 2.3). The digest stands in
 * the key so that a changed model never answers from old results, and lengths are written before
 * contents so that no two inputs run into one another. UTF-16 is what the string is made of: UTF-8
 * would write all lone surrogates alike.
 */
export function cacheKey(secret: string, modelDigest: string, input: string): string {
  return createHmac('md5', secret)
    .update(`${modelDigest.length}:${modelDigest}${input.length}:`)
    .update(input, 'utf16le')
    .digest('base64url');
}
