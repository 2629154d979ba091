import { sessionFleetSchema } from './fleet.js';
import { jobShardSchema } from './jobs.js';
import { receiptSchema } from './receipts.js';
import { limited } from './schema/lists.js';
import {
  choice,
  closed,
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

/** The body may be missing. */
export const openSessionSchema = nullable(
  closed({ max_users: optional(integer({ minimum: 1, maximum: 10_000 })) }),
);

export const SESSION_STATES = ['open', 'ending', 'ended', 'interrupted'] as const;

/** What there is to say of a session while it is open. */
const open = {
  id: text(),
  state: choice(SESSION_STATES, 'interrupted: its server died before it ended.'),
  max_users: integer(),
  users: integer(),
  requests: integer(),
  failures: integer(),
  p50_ms: nullable(number('Of its answers, to 5 %; null before the first.')),
  p99_ms: nullable(number()),
  opened_at: instant(),
  job: optional(jobShardSchema),
};
/** A session as the page's state shows it. */
export const openSessionViewSchema = object(open);
export type OpenSessionView = Static<typeof openSessionViewSchema>;

const ended = {
  ...open,
  ambient: flag('Opened by the server for requests without a session.'),
  ended_at: nullable(instant()),
  end_cause: nullable(text()),
  taken_mb: nullable(
    number('What private_mb rose by from its opening to its cleanup; null where that is unknown.'),
  ),
};
/** A session that is over, without its cleanup. */
export const endedSessionSchema = object(ended);
export type EndedSession = Static<typeof endedSessionSchema>;

export const sessionSchema = object({
  ...ended,
  cleanup: nullable(receiptSchema),
  fleet: optional(sessionFleetSchema),
});
export type SessionView = Static<typeof sessionSchema>;

export const sessionsSchema = object({ sessions: list(sessionSchema) });
export type Sessions = Static<typeof sessionsSchema>;
export const sessionsQuerySchema = limited({});

export const sessionPathSchema = object({ id: text({ maxLength: 100 }) });

export const sessionUsersSchema = object({
  users: list(object({ user_hash: text(), since: instant() })),
});
export type SessionUsers = Static<typeof sessionUsersSchema>;
