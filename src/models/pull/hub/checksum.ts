import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';

/** A checksum that the hub names for a file's content. Only where it says which one it is: an ETag alone may be anything. */
export interface Checksum {
  /** `git`: git's own id, the SHA-1 of `blob <size>\0` and the content (gitformat-loose). */
  readonly kind: 'sha256' | 'git';
  /** Lower-case hex digits. */
  readonly hex: string;
}

const DIGITS = { sha256: 64, git: 40 } as const;

/** @returns undefined if the value is no checksum of that kind */
export function checksumOf(kind: Checksum['kind'], value: unknown): Checksum | undefined {
  if (typeof value !== 'string' || value.length !== DIGITS[kind]) return undefined;
  return /^[0-9a-f]+$/i.test(value) ? { kind, hex: value.toLowerCase() } : undefined;
}

/** Reckons the checksum of a file while it comes in. Where the hub names none, everything matches. */
export class RunningChecksum {
  readonly #hash: Hash | undefined;
  readonly #wanted: string;

  constructor(wanted: Checksum | undefined, sizeBytes: number) {
    this.#wanted = wanted?.hex ?? '';
    if (wanted?.kind === 'sha256') this.#hash = createHash('sha256');
    if (wanted?.kind === 'git') this.#hash = createHash('sha1').update(`blob ${sizeBytes}\0`);
  }

  take(chunk: Uint8Array): void {
    this.#hash?.update(chunk);
  }

  /** Takes what an earlier attempt has left. @returns its bytes */
  async takeFile(file: string): Promise<number> {
    let bytes = 0;
    await pipeline(createReadStream(file, { highWaterMark: 2 ** 20 }), async (chunks) => {
      for await (const chunk of chunks as AsyncIterable<Buffer>) {
        this.take(chunk);
        bytes += chunk.byteLength;
      }
    });
    return bytes;
  }

  matches(): boolean {
    return this.#hash === undefined || this.#hash.digest('hex') === this.#wanted;
  }
}
