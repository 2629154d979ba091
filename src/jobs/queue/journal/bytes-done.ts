import type { FileRef } from '../../files/place.js';
import type { ShardRange } from '../../formats/format.js';
import type { FileRanges } from './entries.js';
import { isSameFile } from './entries.js';
import { NumberList } from './number-list.js';

/**
 * Bytes of the input that are done. A range of bytes counts as long as it is; a range of rows counts by its share of the rows
 * that are planned of its file.
 */
export class BytesDone {
  readonly #rowsOfShard: number;
  /** By shard: the number of its file among those cut by rows, plus one; 0: cut by bytes. */
  readonly #fileOf = new NumberList();
  /** By shard: rows, or bytes. */
  readonly #sizeOf = new NumberList();
  readonly #fileBytes = new NumberList();
  readonly #plannedRows = new NumberList();
  readonly #doneRows = new NumberList();
  #last: FileRef | undefined;
  #bytes = 0;

  /** @param rowsOfShard rows of a range without an end, about */
  constructor(rowsOfShard: number) {
    this.#rowsOfShard = rowsOfShard;
  }

  get bytes(): number {
    return Math.round(this.#bytes);
  }

  /** Rows of a shard as planned; undefined where it is cut by bytes. */
  plannedRowsOf(shard: number): number | undefined {
    return this.#fileOf.at(shard) === 0 ? undefined : this.#sizeOf.at(shard);
  }

  plan({ file, ranges }: FileRanges): void {
    for (const range of ranges) {
      if (range.unit === 'bytes') this.#add(0, (range.end ?? file.bytes) - range.start);
      else this.#planRows(file, range);
    }
  }

  done(shard: number): void {
    const file = this.#fileOf.at(shard) - 1;
    const size = this.#sizeOf.at(shard);
    if (file < 0) this.#bytes += size;
    else this.#change(file, () => this.#doneRows.set(file, this.#doneRows.at(file) + size));
  }

  #planRows(file: FileRef, { start, end }: ShardRange): void {
    if (this.#last === undefined || !isSameFile(this.#last, file)) {
      this.#last = file;
      this.#fileBytes.push(file.bytes);
      this.#plannedRows.push(0);
      this.#doneRows.push(0);
    }
    const at = this.#fileBytes.length - 1;
    const rows = (end ?? start + this.#rowsOfShard) - start;
    this.#add(at + 1, rows);
    this.#change(at, () => this.#plannedRows.set(at, this.#plannedRows.at(at) + rows));
  }

  #add(file: number, size: number): void {
    this.#fileOf.push(file);
    this.#sizeOf.push(size);
  }

  #change(file: number, change: () => void): void {
    this.#bytes -= this.#shareOf(file);
    change();
    this.#bytes += this.#shareOf(file);
  }

  #shareOf(file: number): number {
    const planned = this.#plannedRows.at(file);
    return planned === 0 ? 0 : (this.#fileBytes.at(file) * this.#doneRows.at(file)) / planned;
  }
}
