import type { PackedRows } from './packed-rows.js';

/** Two shards at once, of two files each. */
const MAX_OPEN = 4;
const IDLE_MS = 30_000;

interface OpenFile {
  readonly key: string;
  readonly rows: PackedRows;
  readonly timer: NodeJS.Timeout;
}

/**
 * Packed files between two shards: the next one goes on where the last one ended, rather than unpack the file from its start again.
 * It owns what it holds; who takes a file gives it back, or closes it.
 */
export class OpenFiles {
  readonly #maxOpen: number;
  readonly #idleMs: number;
  /** The longest idle first. */
  #files: readonly OpenFile[] = [];
  #isClosed = false;

  constructor(maxOpen = MAX_OPEN, idleMs = IDLE_MS) {
    this.#maxOpen = maxOpen;
    this.#idleMs = idleMs;
  }

  get size(): number {
    return this.#files.length;
  }

  /** The open file that has the fewest rows to pass before that one; undefined if there is none before it. */
  take(key: string, row: number): PackedRows | undefined {
    const fitting = this.#files.filter((file) => file.key === key && file.rows.position <= row);
    const best = fitting.reduce<OpenFile | undefined>(
      (a, b) => (a === undefined || b.rows.position > a.rows.position ? b : a),
      undefined,
    );
    if (best === undefined) return undefined;
    this.#remove(best);
    return best.rows;
  }

  async give(key: string, rows: PackedRows): Promise<void> {
    if (this.#isClosed) return rows.close();
    const timer = setTimeout(() => {
      this.#remove(file);
      rows.close().catch(() => undefined);
    }, this.#idleMs).unref();
    const file: OpenFile = { key, rows, timer };
    this.#files = [...this.#files, file];
    const [oldest] = this.#files;
    if (this.#files.length <= this.#maxOpen || oldest === undefined) return;
    this.#remove(oldest);
    await oldest.rows.close();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const files = this.#files;
    for (const file of files) this.#remove(file);
    await Promise.all(files.map((file) => file.rows.close()));
  }

  #remove(file: OpenFile): void {
    clearTimeout(file.timer);
    this.#files = this.#files.filter((other) => other !== file);
  }
}
