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
  type Schema,
  type Static,
  text,
} from './schema/schema.js';

export const JOB_TASKS = [
  'text-classification',
  'zero-shot-classification',
  'reranking',
  'token-classification',
] as const;
export type JobTask = (typeof JOB_TASKS)[number];

export const FILE_FORMATS = ['jsonl', 'csv', 'parquet'] as const;
export type FileFormat = (typeof FILE_FORMATS)[number];

export const COMPRESSIONS = ['none', 'gzip', 'zstd'] as const;
export type Compression = (typeof COMPRESSIONS)[number];

/** States of a job. `done` and `failed` and `cancelled` are final; `retry` opens the last two again. */
export const JOB_STATES = [
  'waiting',
  'running',
  'finishing',
  'done',
  'failed',
  'cancelled',
] as const;
export type JobStateName = (typeof JOB_STATES)[number];

const MAX_PLACE_CHARACTERS = 4096;
const MAX_NAME_CHARACTERS = 256;
const place = text({ minLength: 1, maxLength: MAX_PLACE_CHARACTERS });
const column = text({ minLength: 1, maxLength: MAX_NAME_CHARACTERS });
const oneOrMore: Schema<string | readonly string[]> = {
  description: 'Files, folders, globs, http(s):// or s3:// addresses: one, or several.',
  anyOf: [place, list(place, { minItems: 1, maxItems: 1000 })],
};

/** What is asked of the model, beside its input. */
const asked = {
  task: optional(choice(JOB_TASKS, 'By default what the model does.')),
  text: optional(text({ ...{ minLength: 1, maxLength: MAX_NAME_CHARACTERS }, default: 'text' })),
  text_pair: optional(column),
  id: optional(column),
  function: optional(choice(['softmax', 'sigmoid', 'none'])),
  top_k: optional(integer({ minimum: 1, maximum: 100_000 })),
  threshold: optional(number({ minimum: 0, maximum: 1 })),
  candidate_labels: optional(
    list(text({ pattern: '\\S', maxLength: 1000 }), { minItems: 1, maxItems: 1000 }),
  ),
  hypothesis_template: optional(text({ maxLength: 10_000 })),
  multi_label: optional(flag()),
  query: optional(text({ pattern: '\\S', maxLength: 100_000 })),
  aggregation_strategy: optional(choice(['none', 'simple', 'first', 'average', 'max'])),
};

/** Body of POST /v1/jobs. */
export const jobRequestSchema = closed({
  input: oneOrMore,
  output: place,
  model: optional(text({ minLength: 1, maxLength: 600 })),
  ...asked,
  input_format: optional(choice(FILE_FORMATS, 'By default what the name of each file says.')),
  delimiter: optional(
    text({
      minLength: 1,
      maxLength: 1,
      description: 'Of CSV; by default found by the first line.',
    }),
  ),
  format: optional(choice(FILE_FORMATS, 'Of the parts; by default that of the first input file.')),
  compression: optional(choice(COMPRESSIONS, 'Of the parts; by default none.')),
  keep: optional(list(column, { maxItems: 1000, description: 'Columns of the input to keep.' })),
  all_scores: optional(flag('All scores of each row, not only the best label’s.')),
  max_errors: optional(
    integer({
      minimum: 0,
      description: 'Bad rows after which the job fails; without it, none is too many.',
    }),
  ),
  shard_rows: optional(integer({ minimum: 100, maximum: 100_000, default: 4000 })),
});
export type JobRequest = Static<typeof jobRequestSchema>;

const failedShardSchema = object({
  shard: integer(),
  file: text(),
  reason: text(),
  attempts: integer(),
});

const jobMachineSchema = object({
  server: text(),
  shards: list(integer(), { description: 'Shards that it runs now.' }),
});

export const jobSchema = object({
  id: text(),
  state: choice(JOB_STATES),
  request: jobRequestSchema,
  task: nullable(choice(JOB_TASKS), { description: 'As asked; null: what the model does.' }),
  model: nullable(text()),
  commit: nullable(text()),
  dtype: nullable(text()),
  created_at: instant(),
  started_at: nullable(instant()),
  ended_at: nullable(instant()),
  waiting_for: nullable(
    text(
      'Why nothing of an open job runs, as the server that answers knows it; null: something does.',
    ),
  ),
  files: integer('Found so far.'),
  planned: flag('Whether all shards are known.'),
  shards: object({
    known: integer(),
    waiting: integer(),
    running: integer(),
    done: integer(),
    failed: integer(),
  }),
  rows: object({
    done: integer('Rows read, bad ones among them.'),
    bad: integer(),
    expected: nullable(integer('From the bytes that are done; null before that can be said.')),
  }),
  rows_per_second: nullable(number('Over the last minute.')),
  seconds_left: nullable(number()),
  failures: list(failedShardSchema, { description: 'The first 100.' }),
  machines: list(jobMachineSchema),
  manifest: nullable(text('Where it is, once the job is done.')),
  error: nullable(text()),
});
export type JobView = Static<typeof jobSchema>;

export const jobsSchema = object({ jobs: list(jobSchema) });
export type JobsView = Static<typeof jobsSchema>;
export const jobsQuerySchema = limited({ state: optional(choice(JOB_STATES)) });

export const shardSchema = object({
  shard: integer(),
  file: text(),
  state: choice(['waiting', 'running', 'done', 'failed']),
  rows: nullable(integer()),
  bad: nullable(integer()),
  part: nullable(text()),
  server: nullable(text()),
  attempts: integer(),
  reason: nullable(text()),
});
export const shardsSchema = object({ shards: list(shardSchema) });
export type ShardView = Static<typeof shardSchema>;

export const jobPathSchema = object({ id: text() });
export const shardsQuerySchema = limited({
  from: optional(text({ pattern: '^\\d{1,9}$', description: 'The first shard, from 0.' })),
  state: optional(choice(['waiting', 'running', 'done', 'failed'])),
});
