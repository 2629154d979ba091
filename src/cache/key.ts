import { createHash, hash } from 'node:crypto';

/** What a result depends on beside its input. */
export interface KeyScope {
  /** Of the model's files: a changed model never answers from old results. */
  readonly digest: string;
  /** How scores are made of what the model gives; see `taskOf`. */
  readonly task: string;
}

/** Bytes that MD5 works on at a time; HMAC fills the key up to it. */
const BLOCK_BYTES = 64;
const DIGEST_BYTES = 16;
/** Longer texts get a buffer of their own. */
const ROOM_BYTES = 64 * 1024;
/** How an input is written: a letter, and a colon behind it. */
const [ASCII, UTF16] = [0x61, 0x75];
const LETTER_BEFORE = 2;
/** The digest's bytes as characters; `latin1` by its other name, which the types know. */
const RAW = 'binary';

/**
 * Keys of cached results: HMAC-MD5 over the model's digest, the task's parameters and the exact input.
 *
 * MD5 keys are short and fast, but plain MD5 has been broken for collisions since 2004: a caller
 * could craft two texts with one key, have the harmless one classified, and so decide what everyone
 * gets for the other. Keyed with a secret (RFC 2104) that callers do not know, they cannot compute
 * the key of any text; HMAC-MD5 stands against this (RFC 6151, section 2.3).
 *
 * HMAC is written out here, MD5(key ⊕ opad, MD5(key ⊕ ipad, text)), because Node's `createHmac` makes
 * a stream with a native part for each key: more garbage than all else that a known answer takes. A
 * test holds the two together.
 */
export class CacheKeys {
  /** The key ⊕ ipad, the scope of the last key, and room for a text: keys are made one after the other. */
  readonly #inner = Buffer.alloc(BLOCK_BYTES + ROOM_BYTES);
  #inputAt = BLOCK_BYTES;
  #digest: string | undefined;
  #task: string | undefined;
  /** The key ⊕ opad, and room for the inner digest. */
  readonly #outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES);

  /** @param secret of this deployment, of any length; servers that share a cache share it. */
  constructor(secret: string) {
    // 64 digits: just one block.
    const key = createHash('sha256').update(secret).digest('hex');
    this.#inner.write(xored(key, 0x36), 'latin1');
    this.#outer.write(xored(key, 0x5c), 'latin1');
  }

  /**
   * Lengths are written before contents so that no two scopes and inputs run into one another. ASCII
   * goes in as it is; everything else as UTF-16, which is what strings are made of: UTF-8 would write
   * all lone surrogates alike. A letter tells the two apart.
   */
  of({ digest, task }: KeyScope, input: string): string {
    const isAscii = Buffer.byteLength(input) === input.length;
    if (digest !== this.#digest || task !== this.#task) this.#setScope(digest, task);
    const at = this.#inputAt;
    const end = at + (isAscii ? 1 : 2) * input.length;
    const text = end <= this.#inner.length ? this.#inner : this.#roomFor(end);
    text[at - LETTER_BEFORE] = isAscii ? ASCII : UTF16;
    text.write(input, at, isAscii ? 'latin1' : 'utf16le');
    this.#outer.write(hash('md5', text.subarray(0, end), RAW), BLOCK_BYTES, 'latin1');
    return hash('md5', this.#outer, 'base64url');
  }

  /** Writes what all inputs of a scope have before them. */
  #setScope(digest: string, task: string): void {
    const scope = `${digest.length}:${digest}${task.length}:${task}?:`;
    this.#inner.write(scope, BLOCK_BYTES, 'latin1');
    this.#inputAt = BLOCK_BYTES + scope.length;
    this.#digest = digest;
    this.#task = task;
  }

  #roomFor(bytes: number): Buffer {
    const text = Buffer.allocUnsafe(bytes);
    this.#inner.copy(text, 0, 0, this.#inputAt);
    return text;
  }
}

function xored(key: string, pad: number): string {
  return String.fromCharCode(...Array.from(key, (digit) => digit.charCodeAt(0) ^ pad));
}
