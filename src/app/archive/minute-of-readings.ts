import type { RingReading } from '../../memory/ring.js';
import type { StoredReading } from '../../store/reader.js';

const MINUTE_MS = 60_000;

/** A minute of readings, before the store gives it an owner. */
export type Minute = Omit<StoredReading, 'id' | 'server'>;

/** Aggregates the readings of each minute into one row. */
export class MinuteOfReadings {
  #readings: RingReading[] = [];

  /** @returns the row of the last minute, if this reading begins a new one. */
  add(reading: RingReading): Minute | undefined {
    const [first] = this.#readings;
    const ended = first !== undefined && minuteOf(first) !== minuteOf(reading);
    const row = ended ? rowOf(this.#readings) : undefined;
    if (ended) this.#readings = [];
    this.#readings.push(reading);
    return row;
  }

  /** The row of the unfinished minute; undefined before its first reading. */
  rest(): Minute | undefined {
    return this.#readings.length > 0 ? rowOf(this.#readings) : undefined;
  }
}

function minuteOf({ atMs }: RingReading): number {
  return Math.floor(atMs / MINUTE_MS);
}

function rowOf(readings: readonly RingReading[]): Minute {
  const last = readings.at(-1);
  const of = (field: keyof RingReading) => readings.map((reading) => reading[field]);
  const mean = (field: keyof RingReading) =>
    Math.round(of(field).reduce((sum, value) => sum + value, 0) / readings.length);
  return {
    at_ms: last === undefined ? 0 : minuteOf(last) * MINUTE_MS,
    count: readings.length,
    server_total_bytes: last?.serverTotalBytes ?? 0,
    load_line_bytes: last?.loadLineBytes ?? 0,
    server_used_mean_bytes: mean('serverUsedBytes'),
    server_used_max_bytes: Math.max(...of('serverUsedBytes')),
    private_mean_bytes: mean('privateBytes'),
    private_max_bytes: Math.max(...of('privateBytes')),
    pss_mean_bytes: mean('pssBytes'),
    pss_max_bytes: Math.max(...of('pssBytes')),
    pressure_max: Math.max(...of('pressure')),
  };
}
