/** What the server has kept: classifications and events. */
import { resultSourceSchema } from './classify.js';
import { limitedSpan } from './schema/lists.js';
import {
  instant,
  list,
  nullable,
  number,
  object,
  optional,
  type Static,
  text,
} from './schema/schema.js';

export const classificationSchema = object({
  id: text(),
  at: instant(),
  session: text(),
  user_hash: text('HMAC-SHA256 of the user’s name under `cache.secret`.'),
  model: text(),
  input_hash: text(
    'The input’s key in the cache: HMAC-MD5 of model and text under `cache.secret`.',
  ),
  input: optional(text('The text, if `records.keep_text` says so.')),
  label: text('The one with the highest score.'),
  score: number(),
  ms: number('From the request’s arrival to its answer.'),
  cached: resultSourceSchema,
});
export type ClassificationRecord = Static<typeof classificationSchema>;

export const recordsSchema = object({ records: list(classificationSchema) });
export type Records = Static<typeof recordsSchema>;

const name = optional(text({ maxLength: 600 }));

export const recordsQuerySchema = limitedSpan({
  session: name,
  user: name,
  model: name,
  label: name,
});

export const pastEventSchema = object({
  id: text(),
  at: instant(),
  kind: text(),
  text: text('A line for people.'),
  session: nullable(text()),
  model: nullable(text()),
  worker: nullable(text()),
});
export type PastEvent = Static<typeof pastEventSchema>;

export const pastEventsSchema = object({ events: list(pastEventSchema) });
export type PastEvents = Static<typeof pastEventsSchema>;

export const pastEventsQuerySchema = limitedSpan({ kind: name, session: name });
