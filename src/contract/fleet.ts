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
  type Static,
  text,
} from './schema/schema.js';
import { pressureSchema } from './state/memory.js';

/** What a server says of itself to the others of its fleet. */
const heartbeat = {
  id: text('New with every start.'),
  name: text('The setting `server.name`, else the name of the machine.'),
  address: nullable(text('Where the others reach it; null before it listens.')),
  role: choice(['all', 'door', 'worker']),
  version: text(),
  state: choice(
    ['starting', 'ready', 'not ready', 'draining'],
    'draining: it was asked to stop, and still answers.',
  ),
  reason: nullable(text('Why it is not ready.')),
  started_at: instant(),
  server_total_mb: number('Memory of the machine, or the limit of the cgroup.'),
  server_used_mb: number(),
  load_line_mb: number(),
  pressure: pressureSchema,
  private_mb: number('What only its processes can give back.'),
  models: list(text(), 'Models that its workers hold open; 50 at most.'),
  workers_ready: integer(),
  workers: integer(),
  sessions: integer('Sessions open on it, its own and shared ones.'),
  users: integer('Users that have asked it in these sessions.'),
  shards: integer('Shards of jobs that it works on.'),
};
export const heartbeatSchema = object(heartbeat);
export type Heartbeat = Static<typeof heartbeatSchema>;

export const fleetServerSchema = object({
  ...heartbeat,
  this: flag('The server that gave this answer.'),
  seen_at: instant('Its last heartbeat; it sends one a second.'),
  silent_s: integer(
    'Whole seconds since its last heartbeat; 0 while it is heard. Forgotten after 10 minutes.',
  ),
});
export type FleetServer = Static<typeof fleetServerSchema>;

export const fleetSchema = object({
  shared_through: choice(
    ['none', 'redis', 'postgresql'],
    'Where the servers see one another; none: this server is alone.',
  ),
  sessions_shared: flag('Whether sessions are the fleet’s; that takes Redis and `cache.secret`.'),
  away: nullable(text('Why the others are not heard now; what is said of them is the last known.')),
  notes: list(text(), 'What the absence of Redis has led to, in lines for people.'),
  servers: list(fleetServerSchema, 'By name.'),
});
export type FleetView = Static<typeof fleetSchema>;

export const SESSION_PART_STATES = ['open', 'ending', 'ended', 'lost'] as const;

/** What one server did in a session of the fleet. */
export const sessionPartSchema = object({
  server: text('Id of the server.'),
  name: text(),
  state: choice(SESSION_PART_STATES, 'lost: the server has gone without ending its part.'),
  users: integer('Users that have asked this server.'),
  requests: integer(),
  failures: integer(),
  p50_ms: nullable(number()),
  p99_ms: nullable(number()),
  joined_at: instant(),
  ended_at: nullable(instant()),
  end_cause: nullable(text()),
  cleanup: nullable(receiptSchema),
});
export type SessionPart = Static<typeof sessionPartSchema>;

export const sessionFleetSchema = object(
  {
    state: choice(
      ['shared', 'alone'],
      'alone: Redis does not answer, and this server goes on with what it knows.',
    ),
    reason: nullable(text('Why it is alone.')),
    over_admitted: integer('Users beyond max_users, let in while Redis did not answer.'),
    servers: list(sessionPartSchema, 'Every server that took part, with its own receipt.'),
  },
  'Only of sessions that several servers share.',
);
export type SessionFleet = Static<typeof sessionFleetSchema>;
