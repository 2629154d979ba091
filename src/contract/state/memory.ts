import { since } from '../schema/lists.js';
import {
  choice,
  closed,
  instant,
  integer,
  list,
  number,
  object,
  type Static,
  text,
  tuple,
} from '../schema/schema.js';

const PRESSURES = ['normal', 'elevated', 'critical'] as const;
export const pressureSchema = choice(PRESSURES);
export type Pressure = Static<typeof pressureSchema>;

/** @param level 0, 1 or 2, as rings and the database keep it. */
export function pressureOfLevel(level: number): Pressure {
  return PRESSURES[level] ?? 'normal';
}

export const processRoleSchema = choice(['main', 'worker', 'preparer']);

const processSchema = object({
  role: processRoleSchema,
  pid: integer(),
  rss_mb: number(),
  pss_mb: number(),
  private_mb: number(),
});
export type ProcessView = Static<typeof processSchema>;

export const memorySchema = object({
  server_total_mb: number('Memory of the machine, or the cgroup’s limit.'),
  server_used_mb: number(),
  server_percent: number(),
  load_line_mb: number(),
  pressure: pressureSchema,
  users_since_recycle: integer(),
  processes: list(processSchema),
});
export type MemoryView = Static<typeof memorySchema>;

const reading = {
  at: instant(),
  server_total_mb: number(),
  server_used_mb: number(),
  load_line_mb: number(),
  private_mb: number(),
  pss_mb: number(),
  pressure: pressureSchema,
};
export const readingSchema = object(reading);
export type Reading = Static<typeof readingSchema>;

export const minuteSchema = object({
  ...reading,
  readings: integer(),
  server_used_max_mb: number(),
  private_max_mb: number(),
});
export type MinuteReading = Static<typeof minuteSchema>;

export const readingsSchema = object({
  seconds: list(readingSchema),
  minutes: list(
    minuteSchema,
    'Means over the minute; the highest values are in the fields with max.',
  ),
});
export type Readings = Static<typeof readingsSchema>;

export const processReadingsSchema = object({
  names: list(text()),
  readings: list(
    object({
      at_ms: number('Milliseconds since 1970.'),
      processes: list(
        tuple(number(), 3),
        'Of each process: index of its name, private MB, its share of shared MB.',
      ),
    }),
  ),
});
export type ProcessReadings = Static<typeof processReadingsSchema>;

export const sinceQuerySchema = closed(since);
