/** How many rows of a Parquet file are decoded in one step. Pure. */

/** What one step decodes to, about: as much is held of each shard that runs. */
export const STEP_BYTES = 1024 * 1024;
/** Of a file of which nothing was decoded yet: its few bytes may stand for long texts that repeat. */
const FIRST_ROWS = 64;

/**
 * 1. As many rows as make {@link STEP_BYTES}, by what those of the last step decoded to, or by what they are in the file if that is more.
 * 2. Never more than four times as many as in the last step: rows may become longer again.
 */
export class StepRows {
  readonly #fileBytes: number;
  #rowBytes: number;
  #rows: number;

  /**
   * @param fileBytes of one row in the file, unpacked but not decoded
   * @param knownBytes of one row, as it was decoded in another shard of the file; undefined: none was
   */
  constructor(fileBytes: number, knownBytes: number | undefined) {
    this.#fileBytes = fileBytes;
    this.#rowBytes = Math.max(fileBytes, knownBytes ?? 0);
    const most = knownBytes === undefined ? FIRST_ROWS : Number.POSITIVE_INFINITY;
    this.#rows = Math.min(most, this.#ofStep());
  }

  /** Of the next step. */
  get rows(): number {
    return this.#rows;
  }

  /** About what a row is. */
  get rowBytes(): number {
    return this.#rowBytes;
  }

  /** A step was done: so many rows, which decoded to so many bytes. */
  made(rows: number, bytes: number): void {
    this.#rowBytes = Math.max(this.#fileBytes, bytes / rows); // 1
    this.#rows = Math.min(4 * rows, this.#ofStep()); // 2
  }

  #ofStep(): number {
    return Math.max(1, Math.floor(STEP_BYTES / this.#rowBytes));
  }
}
