import {
  choice,
  closed,
  instant,
  integer,
  list,
  nullable,
  object,
  optional,
  type Static,
  text,
} from './schema/schema.js';

/** Profiles of a proof that callers may ask for; the first is the usual one. */
export const PROOF_PROFILES = ['reference'] as const;
const profile = choice(PROOF_PROFILES);
export const PROOF_STATES = ['running', 'passed', 'failed', 'broken'] as const;
export type ProofProfile = Static<typeof profile>;

const started = {
  id: text(),
  state: choice(PROOF_STATES, 'passed or failed: its verdict; broken: it ended without one.'),
};
export const proofStartedSchema = object(started);
export type ProofStarted = Static<typeof proofStartedSchema>;

const proofSchema = object({
  ...started,
  profile,
  started_at: instant(),
  ended_at: nullable(instant()),
  sessions_done: integer(),
  sessions_total: integer('0 until the proof has begun.'),
  report_url: nullable(text('null until there is a report.')),
  reason: nullable(
    text('Why it did not pass, in one line; null while it runs and when it passed.'),
  ),
});
export type ProofView = Static<typeof proofSchema>;

export const proofsSchema = object({ proofs: list(proofSchema) });
export type Proofs = Static<typeof proofsSchema>;

/** The body may be missing. */
export const startProofSchema = nullable(closed({ profile: optional(profile) }));

export const proofPathSchema = object({ id: text({ maxLength: 100 }) });
