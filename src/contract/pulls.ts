import {
  choice,
  closed,
  instant,
  integer,
  list,
  nullable,
  number,
  object,
  type Static,
  text,
} from './schema/schema.js';

/** A model that is fetched from a hub. */
export const pullSchema = object({
  id: text(),
  model: text('As it was asked for: org/name or org/name@revision.'),
  state: choice(
    ['waiting', 'running', 'preparing', 'done', 'failed', 'cancelled'],
    'preparing: all is fetched, and its mapped form is made; it can no longer be cancelled. done: the model is served under the name org/name.',
  ),
  commit: nullable(text('What the revision stands for; null until the hub has told.')),
  files_done: integer(),
  files_total: nullable(integer('null until the hub has listed them.')),
  done_mb: number('What is there, of earlier attempts too.'),
  total_mb: nullable(number('null until the hub has told.')),
  mb_per_s: nullable(number('Rate of the last seconds; null before it is known.')),
  seconds_left: nullable(number('By that rate.')),
  started_at: instant(),
  ended_at: nullable(instant()),
  reason: nullable(text('Why it failed, and what to do about it.')),
});
export type PullView = Static<typeof pullSchema>;

export const pullsSchema = object({ pulls: list(pullSchema) });
export type Pulls = Static<typeof pullsSchema>;

export const startPullSchema = closed({
  model: text({ minLength: 1, maxLength: 400, description: 'org/name or org/name@revision.' }),
});

export const pullPathSchema = object({ id: text({ maxLength: 100 }) });
