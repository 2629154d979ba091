import type { PullProgress } from './pull.js';

/** How far a pull is. */
export interface PullFigures {
  readonly commit: string | undefined;
  readonly filesDone: number;
  readonly filesTotal: number | undefined;
  readonly doneBytes: number;
  readonly totalBytes: number | undefined;
  /** Of the last seconds; undefined before it is known. */
  readonly bytesPerSecond: number | undefined;
}

/** The rate is that of so many last ms: long enough to be steady, short enough to show a stall. */
const RATE_SPAN_MS = 5000;
const LEAST_SPAN_MS = 500;

/** Adds up what a pull tells of its files. */
export class PullMeter {
  readonly #now: () => number;
  readonly #bytes = new Map<string, number>();
  /** Bytes that came over the network, by time. */
  readonly #came: { atMs: number; bytes: number }[] = [];
  #cameBytes = 0;
  #commit: string | undefined;
  #filesDone = 0;
  #filesTotal: number | undefined;
  #totalBytes: number | undefined;

  constructor(now: () => number = performance.now.bind(performance)) {
    this.#now = now;
  }

  take(progress: PullProgress): void {
    if (progress.kind === 'listed') {
      this.#commit = progress.commit;
      this.#filesTotal = progress.files;
      this.#totalBytes = progress.totalBytes;
      return;
    }
    if (progress.kind === 'warning') return;
    const { file, bytes } = progress;
    const before = this.#bytes.get(file);
    this.#bytes.set(file, bytes);
    if (progress.kind === 'file-done') {
      this.#filesDone += 1;
      // What it lacked until now came in; a file that was never told of lay in the cache.
      if (before !== undefined) this.#count(bytes - before);
      return;
    }
    // The first figure of a file is what an earlier attempt had left; a source that starts anew takes some back.
    if (before !== undefined) this.#count(Math.max(0, bytes - before));
  }

  get figures(): PullFigures {
    const doneBytes = [...this.#bytes.values()].reduce((sum, bytes) => sum + bytes, 0);
    return {
      commit: this.#commit,
      filesDone: this.#filesDone,
      filesTotal: this.#filesTotal,
      doneBytes,
      totalBytes: this.#totalBytes,
      bytesPerSecond: this.#rate(),
    };
  }

  #count(bytes: number): void {
    this.#cameBytes += bytes;
    this.#came.push({ atMs: this.#now(), bytes: this.#cameBytes });
    this.#forgetOld();
  }

  #forgetOld(): void {
    const since = this.#now() - RATE_SPAN_MS;
    while (this.#came.length > 1 && (this.#came[0]?.atMs ?? 0) < since) this.#came.shift();
  }

  #rate(): number | undefined {
    this.#forgetOld();
    const [first] = this.#came;
    const spanMs = first === undefined ? 0 : this.#now() - first.atMs;
    if (first === undefined || spanMs < LEAST_SPAN_MS) return undefined;
    return ((this.#cameBytes - first.bytes) / spanMs) * 1000;
  }
}
