import { createHash, hash } from 'node:crypto';

/** What a result depends on besides its input. */
export interface KeyScope {
  /** Digest of the model's files: a changed model never gets old results. */
  readonly digest: string;
  /** How scores are computed from logits; see `taskOf`. */
  readonly task: string;
}

/** MD5's block size; HMAC pads the key to it. */
const BLOCK_BYTES = 64;
const DIGEST_BYTES = 16;
/** Longer texts use a temporary buffer. */
const ROOM_BYTES = 64 * 1024;
/** A longer part of a scope stands in it by its digest: it has to leave the room to texts. */
const LONGEST_PART = 256;
const NOT_ASCII = /[^\x20-\x7e]/;
/** Letters that name the encoding of an input; a colon follows. */
const [ASCII, UTF16] = [0x61, 0x75];
const LETTER_BEFORE = 2;
/** The digest's bytes as characters; an alias of `latin1` that the types accept. */
const RAW = 'binary';

/** What stands for a part of a scope: itself if it is short and ASCII, else its digest. Callers choose what is in it. */
export function scopePart(text: string): string {
  if (text.length <= LONGEST_PART && !NOT_ASCII.test(text)) return text;
  return `sha256 ${hash('sha256', Buffer.from(text, 'utf16le'), 'hex')}`;
}

/**
 * Keys of cached results: HMAC-MD5 over the model's digest, the task's parameters and the exact input.
 *
 * MD5 digests are short and fast, but collisions in plain MD5 are practical since 2004: a caller could
 * craft two texts with the same key, have the harmless one classified, and so choose the cached result of
 * the other. With a secret key (RFC 2104) callers cannot compute the digest of any text; HMAC-MD5 is still
 * considered safe for this (RFC 6151, section 2.3).
 *
 * HMAC is written out here, MD5(key ⊕ opad, MD5(key ⊕ ipad, text)), because Node's `createHmac` allocates a
 * stream with a native part per call: more garbage than the rest of a cache hit. A test compares the two.
 */
export class CacheKeys {
  /** key ⊕ ipad, then the scope of the last key, then space for a text. Reused for every key. */
  readonly #inner = Buffer.alloc(BLOCK_BYTES + ROOM_BYTES);
  #inputAt = BLOCK_BYTES;
  #digest: string | undefined;
  #task: string | undefined;
  /** key ⊕ opad, then space for the inner digest. */
  readonly #outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES);

  /** @param secret of any length; servers that share a cache share it. */
  constructor(secret: string) {
    // 64 hex digits: exactly one block.
    const key = createHash('sha256').update(secret).digest('hex');
    this.#inner.write(xored(key, 0x36), 'latin1');
    this.#outer.write(xored(key, 0x5c), 'latin1');
  }

  /**
   * The key of an input. Each part is preceded by its length, so that no two scopes and inputs have the same
   * bytes. ASCII is hashed as it is, all else as UTF-16: UTF-8 would encode all lone surrogates alike.
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

  /** Writes the prefix that all inputs of a scope share: ASCII that leaves room behind it. */
  #setScope(digest: string, task: string): void {
    const [form, what] = [scopePart(digest), scopePart(task)];
    const scope = `${form.length}:${form}${what.length}:${what}?:`;
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
