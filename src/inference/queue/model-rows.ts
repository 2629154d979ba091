import {
  CLASSES_PER_DOUBLING,
  effectiveSize,
  lengthClass,
  lengthOctave,
  OCTAVES,
} from './length-class.js';
import { Line, type Place } from './line.js';

/** What counts of a waiting row here. */
interface Sized {
  readonly size: number;
  readonly alone?: boolean;
}

/** The waiting rows of one model, by their length. */
export class ModelRows<R extends Sized> {
  /** By {@link lengthClass}; rows that must run alone are in none. */
  readonly #byLength = new Map<number, Line<R>>();
  readonly #octaves = new Array<number>(OCTAVES).fill(0);
  count = 0;
  /** Characters. */
  size = 0;

  /** Effective sizes, summed by octave of length. */
  get octaves(): readonly number[] {
    return this.#octaves;
  }

  /** @param place of the row in the line of its length */
  enter(row: R, place: Place<R>, how: 'push' | 'unshift'): void {
    this.#count(row, 1);
    if (row.alone === true) return;
    const key = lengthClass(row.size);
    const line = this.#byLength.get(key) ?? new Line<R>();
    this.#byLength.set(key, line);
    line[how](place);
  }

  /** The row’s place is empty. */
  leave(row: R): void {
    this.#count(row, -1);
    if (row.alone === true) return;
    const key = lengthClass(row.size);
    const line = this.#byLength.get(key);
    line?.left();
    if (line?.size === 0) this.#byLength.delete(key);
  }

  /** A row of the shortest class. */
  shortest(): R | undefined {
    return this.#byLength.get(Math.min(...this.#byLength.keys()))?.first();
  }

  /** Up to `most` rows within a factor of two of that size, the nearest class first. */
  alike(size: number, most: number): readonly R[] {
    const found: R[] = [];
    const own = lengthClass(size);
    for (let away = 0; away <= CLASSES_PER_DOUBLING && found.length < most; away += 1) {
      this.#byLength.get(own - away)?.fill(found, most);
      if (away > 0) this.#byLength.get(own + away)?.fill(found, most);
    }
    return found;
  }

  #count({ size }: R, sign: 1 | -1): void {
    this.count += sign;
    this.size += sign * size;
    const octave = lengthOctave(size);
    this.#octaves[octave] = (this.#octaves[octave] ?? 0) + sign * effectiveSize(size);
  }
}
