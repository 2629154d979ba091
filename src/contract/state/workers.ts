import {
  choice,
  flag,
  integer,
  list,
  nullable,
  number,
  object,
  type Static,
  text,
} from '../schema/schema.js';

export const workerSchema = object({
  id: text(),
  pid: nullable(integer()),
  state: choice(['starting', 'ready', 'leaving', 'gone']),
  busy: flag(),
  age_s: integer(),
  users_since_recycle: integer('Users who came since it was started.'),
  private_mb: nullable(number('By the last reading; null before the first.')),
  models: list(text()),
});
export type WorkerView = Static<typeof workerSchema>;

export const workersSchema = object({ workers: list(workerSchema) });
export type Workers = Static<typeof workersSchema>;

export const workerPathSchema = object({ id: text({ maxLength: 100 }) });
