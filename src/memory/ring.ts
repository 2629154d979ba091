import { pressureOfLevel, type Reading } from '../contract/state/memory.js';
import { toInstant, toMb } from '../contract/units.js';

/** What the ring keeps of each reading. */
export interface RingReading {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly serverUsedBytes: number;
  readonly serverTotalBytes: number;
  readonly loadLineBytes: number;
  readonly privateBytes: number;
  readonly pssBytes: number;
  /** 0 normal, 1 elevated, 2 critical. */
  readonly pressure: number;
}

const FIELDS = [
  'atMs',
  'serverUsedBytes',
  'serverTotalBytes',
  'loadLineBytes',
  'privateBytes',
  'pssBytes',
  'pressure',
] as const;

/** The last readings, in memory that is allocated once. */
export class ReadingRing {
  readonly #values: Float64Array;
  readonly #capacity: number;
  #count = 0;

  /** @param capacity readings to keep: 3600 is an hour at one a second. */
  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#values = new Float64Array(capacity * FIELDS.length);
  }

  push(reading: RingReading): void {
    const start = (this.#count % this.#capacity) * FIELDS.length;
    FIELDS.forEach((field, index) => {
      this.#values[start + index] = reading[field];
    });
    this.#count += 1;
  }

  /** The readings since a time, oldest first. */
  since(atMs: number): readonly RingReading[] {
    const kept = Math.min(this.#count, this.#capacity);
    const readings: RingReading[] = [];
    for (let place = this.#count - kept; place < this.#count; place += 1) {
      const start = (place % this.#capacity) * FIELDS.length;
      const value = (index: number) => this.#values[start + index] ?? 0;
      if (value(0) < atMs) continue;
      readings.push({
        atMs: value(0),
        serverUsedBytes: value(1),
        serverTotalBytes: value(2),
        loadLineBytes: value(3),
        privateBytes: value(4),
        pssBytes: value(5),
        pressure: value(6),
      });
    }
    return readings;
  }
}

/** A reading as callers see it. */
export function shownReading(reading: RingReading): Reading {
  return {
    at: toInstant(reading.atMs),
    server_total_mb: toMb(reading.serverTotalBytes),
    server_used_mb: toMb(reading.serverUsedBytes),
    load_line_mb: toMb(reading.loadLineBytes),
    private_mb: toMb(reading.privateBytes),
    pss_mb: toMb(reading.pssBytes),
    pressure: pressureOfLevel(reading.pressure),
  };
}
