import type { FileRef } from '../../files/place.js';
import type { InputOptions } from '../format.js';
import { type Dialect, dialectOf, MAX_HEAD_BYTES } from './dialect.js';
import type { FileReader } from './pieces.js';
import type { TextRecord } from './records.js';
import { unpack } from './unpack.js';

/** The first bytes of a stream may be few. */
const FIRST_BYTES = 16 * 1024;

/** A file that is read from its start on: packed, or of a server that sends no ranges. It holds one piece of it. */
export class PackedRows {
  readonly #stop = new AbortController();
  readonly #records: AsyncGenerator<readonly TextRecord[]>;
  #dialect: Dialect | undefined;
  #left: readonly TextRecord[] = [];
  #position = 0;

  constructor(reader: FileReader, file: FileRef, options: InputOptions) {
    this.#records = this.#open(reader, file, options);
  }

  /** Rows passed so far. */
  get position(): number {
    return this.#position;
  }

  /** Of the file; known once there was a record. */
  get dialect(): Dialect | undefined {
    return this.#dialect;
  }

  /** The next records, at most `count` of them; undefined at the end of the file. */
  async next(count: number, signal: AbortSignal): Promise<readonly TextRecord[] | undefined> {
    signal.throwIfAborted();
    const stop = () => this.#stop.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    try {
      while (this.#left.length === 0) {
        const { value, done } = await this.#records.next();
        if (done) return undefined;
        this.#left = value;
      }
    } finally {
      signal.removeEventListener('abort', stop);
    }
    const some = this.#left.slice(0, count);
    this.#left = this.#left.slice(count);
    this.#position += some.length;
    return some;
  }

  /** @returns whether there are that many rows */
  async skip(count: number, signal: AbortSignal): Promise<boolean> {
    let left = count;
    while (left > 0) {
      const some = await this.next(left, signal);
      if (some === undefined) return false;
      left -= some.length;
    }
    return true;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#left = [];
    await this.#records.return(undefined).catch(() => undefined);
  }

  async *#open(reader: FileReader, file: FileRef, options: InputOptions) {
    const packed = reader.read(file, { start: 0 }, this.#stop.signal);
    const begun = await begin(unpack(packed, options.compression, file.url), (bytes, isWhole) =>
      dialectOf(file, bytes, isWhole, options),
    );
    const { dialect } = begun;
    this.#dialect = dialect;
    const splitter = dialect.splitter(dialect.rowsStart);
    let headBytes = dialect.rowsStart;
    for await (const chunk of replay(begun)) {
      const passed = Math.min(headBytes, chunk.byteLength);
      headBytes -= passed;
      yield splitter.push(chunk.subarray(passed));
    }
    yield splitter.end();
  }
}

/** A file whose beginning was read. */
interface Begun {
  readonly dialect: Dialect;
  readonly held: readonly Uint8Array[];
  readonly others: AsyncIterator<Uint8Array>;
}

/** Reads until the dialect is known. Who calls it ends `others`. */
export async function begin(
  source: AsyncIterable<Uint8Array>,
  tell: (beginning: Buffer, isWhole: boolean) => Dialect | undefined,
): Promise<Begun> {
  const others = source[Symbol.asyncIterator]();
  const held: Uint8Array[] = [];
  let heldBytes = 0;
  try {
    for (;;) {
      const { value, done } = await others.next();
      if (!done) {
        held.push(value);
        heldBytes += value.byteLength;
      }
      if (!done && heldBytes < FIRST_BYTES) continue;
      const isWhole = done === true && heldBytes <= MAX_HEAD_BYTES;
      const dialect = tell(Buffer.concat(held).subarray(0, MAX_HEAD_BYTES), isWhole);
      if (dialect !== undefined) return { dialect, held, others };
      if (done) throw new Error('the beginning of a file told nothing of it');
    }
  } catch (error) {
    await others.return?.();
    throw error;
  }
}

/** The whole file again. */
async function* replay({ held, others }: Begun): AsyncGenerator<Uint8Array> {
  try {
    yield* held;
    for (;;) {
      const { value, done } = await others.next();
      if (done) return;
      yield value;
    }
  } finally {
    await others.return?.();
  }
}
