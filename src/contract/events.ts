/** What open pages are fed with, as server-sent events. */
import { cacheSchema } from './cache.js';
import { fleetSchema } from './fleet.js';
import { jobSchema } from './jobs.js';
import { modelOfStateSchema, pullSchema } from './models.js';
import { receiptSchema } from './receipts.js';
import {
  choice,
  flag,
  instant,
  integer,
  list,
  nullable,
  number,
  object,
  optional,
  type Static,
  text,
} from './schema/schema.js';
import { endedSessionSchema, openSessionViewSchema } from './sessions.js';
import { pressureSchema, processRoleSchema } from './state/memory.js';
import { poolSchema } from './state/pools.js';
import { workerSchema } from './state/workers.js';

/** Address of the stream. It takes one of few places, so guards know it by name. */
export const EVENTS_URL = '/v1/events';

/** Messages of the stream: the state every second, marks as they come, a heartbeat without data. */
export type EventKind = 'state' | 'mark' | 'heartbeat';

const shownProcessSchema = object({
  name: text(),
  role: processRoleSchema,
  pid: integer(),
  private_mb: number(),
  shared_mb: number('Its share of what it shares: PSS without its private memory.'),
});
export type ShownProcess = Static<typeof shownProcessSchema>;

/** The data of a `state`. */
export const pageStateSchema = object({
  at: instant(),
  version: text(),
  server_total_mb: number(),
  server_used_mb: number(),
  load_line_mb: number(),
  pressure: pressureSchema,
  users_since_recycle: integer(),
  recycle_after_users: integer(),
  waiting_inputs: integer(),
  processes: list(shownProcessSchema),
  sessions: list(openSessionViewSchema, 'Open ones; the newest if there are many.'),
  models: list(modelOfStateSchema),
  workers: list(workerSchema),
  cache: cacheSchema,
  pools: list(poolSchema),
  pull_allowed: flag('Whether models may be fetched over HTTP: `hub.pull`.'),
  pulls: list(pullSchema, 'The newest ones.'),
  jobs: list(jobSchema, 'Open ones first, then those that ended last.'),
  jobs_more: object({
    open: integer('Open ones beyond those.'),
    ended: integer('Ended ones beyond those, of the newest 50 jobs.'),
  }),
  fleet: nullable(fleetSchema, 'Null for a server that sees no others.'),
});
export type PageState = Static<typeof pageStateSchema>;

/** The data of a `mark`: something that has happened, as the page marks it in its chart. */
export const markSchema = object({
  id: integer('Rising, also over restarts.'),
  at: instant(),
  kind: choice(['session_ended', 'model_loaded', 'model_unloaded', 'worker_recycled', 'receipt']),
  text: text('A line for people.'),
  session: optional(text()),
  ended: optional(endedSessionSchema),
  model: optional(text()),
  worker: optional(text()),
  receipt: optional(receiptSchema),
});
export type Mark = Static<typeof markSchema>;
