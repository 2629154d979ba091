/** What runs of a model take, learned from those that ran. */
import { effectiveSize, lengthOctave, OCTAVES } from './length-class.js';

/**
 * Batches count for less by a factor of e with each ten seconds that workers have been busy since. A queue that lasts
 * for half a minute is not judged by the last batch.
 */
const SPEED_MEMORY_MS = 10_000;
/** What texts of one length take beside those of others hardly changes. Were it learned faster, it would take the speed's changes for its own. */
const SHAPE_MEMORY_MS = 100_000;

interface Sum {
  ms: number;
  size: number;
}

/**
 * The time that texts take, by their length: short ones take longer for each of their characters, as a run has a fixed
 * cost, and what waits may be of other lengths than what ran lately. So the shape of the cost over lengths is
 * learned apart from the speed of the machine, which may change within seconds.
 */
export class CostModel {
  /** At the speed 1, by octave of length; sums, not ratios, so that long batches count for more. */
  readonly #shape: Sum[] = Array.from({ length: OCTAVES }, () => ({ ms: 0, size: 0 }));
  /** Time that batches took lately, and what they were expected to take at the speed 1. */
  #took = { ms: 0, expectedMs: 0 };
  /** Of all lengths lately, in characters as they are. */
  readonly #all: Sum = { ms: 0, size: 0 };

  /**
   * A batch was answered.
   *
   * @param sizes of its rows, in characters
   * @param ms time on one worker; nothing is learned from none
   */
  observe(sizes: readonly number[], ms: number): void {
    if (!(ms > 0)) return;
    const expected = sizes.map((size) => this.#shapeMs(size) ?? effectiveSize(size));
    const isKnown = this.#all.size > 0;
    const expectedMs = expected.reduce((sum, each) => sum + each, 0);
    const kept = Math.exp(-ms / SPEED_MEMORY_MS);
    this.#took.ms = this.#took.ms * kept + ms;
    this.#took.expectedMs = this.#took.expectedMs * kept + (isKnown ? expectedMs : ms);
    this.#all.ms = this.#all.ms * kept + ms;
    this.#all.size = this.#all.size * kept + sizes.reduce((sum, each) => sum + each, 0);
    const atSpeed1 = ms / this.#speed;
    const seen = new Set<Sum>();
    for (const [at, size] of sizes.entries()) {
      const shape = this.#shape[lengthOctave(size)];
      if (shape === undefined) continue;
      if (!seen.has(shape)) {
        const keptShape = Math.exp(-ms / SHAPE_MEMORY_MS);
        shape.ms *= keptShape;
        shape.size *= keptShape;
        seen.add(shape);
      }
      // A row's part of the batch's time, by what it was expected to take.
      shape.ms += (atSpeed1 * (expected[at] ?? 0)) / expectedMs;
      shape.size += effectiveSize(size);
    }
  }

  /** Expected time of rows on one worker. */
  msOf(sizes: readonly number[]): number {
    return this.#speed * sizes.reduce((sum, size) => sum + (this.#shapeMs(size) ?? 0), 0);
  }

  /** The same, of rows whose effective sizes are summed by octave. */
  msOfOctaves(sums: readonly number[]): number {
    let ms = 0;
    for (const [octave, size] of sums.entries()) {
      if (size > 0) ms += size * (this.#rateOf(octave) ?? 0);
    }
    return this.#speed * ms;
  }

  /** Characters of texts like those of late that take that long on one worker. */
  sizeWithin(ms: number): number {
    return this.#all.ms === 0 ? Infinity : (ms * this.#all.size) / this.#all.ms;
  }

  get #speed(): number {
    return this.#took.expectedMs === 0 ? 1 : this.#took.ms / this.#took.expectedMs;
  }

  /** At the speed 1; undefined before the first batch. */
  #shapeMs(size: number): number | undefined {
    const rate = this.#rateOf(lengthOctave(size));
    return rate === undefined ? undefined : rate * effectiveSize(size);
  }

  /** Milliseconds for a character at the speed 1: of the nearest octave that has run, of the shorter one of two. */
  #rateOf(octave: number): number | undefined {
    for (let away = 0; away < OCTAVES; away += 1) {
      for (const each of [octave - away, octave + away]) {
        const { ms, size } = this.#shape[each] ?? NOTHING;
        if (size > 0) return ms / size;
      }
    }
    return undefined;
  }
}

const NOTHING: Readonly<Sum> = { ms: 0, size: 0 };
