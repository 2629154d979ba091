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

/** How a worker holds a model. */
export const heldSchema = choice(
  ['unloaded', 'cold', 'hot'],
  'Not loaded, loaded in the cold gear, or in the hot one.',
);

/** What trying one faster form has shown. */
const candidateSchema = object({
  form: text(),
  outcome: choice(['used', 'verified', 'refused', 'not tried']),
  reason: text(),
  rows: optional(number('Rows that were compared with fp32.')),
  labels_percent: optional(number('Rows with the same label as in fp32.')),
  clear_flips: optional(number('Rows with another label though fp32 was far from it.')),
  near_flips: optional(number('Rows with another label that fp32 was within the bound of.')),
  shift: optional(number('Largest difference of a score from fp32.')),
  neighbours: optional(number('Largest change of a score by the rows beside it.')),
  one_row_speedup: optional(number('CPU time of fp32 ÷ that of this form, for one row.')),
  batch_speedup: optional(number('The same for a batch.')),
});

export const verdictSchema = object(
  {
    form: text('The form that serves.'),
    reason: text(),
    at: instant(),
    took_ms: number(),
    least_labels_percent: number('The bound `verify.labels`.'),
    most_shift: number('The bound `verify.shift`.'),
    least_speedup: number('The bound `verify.speedup`.'),
    candidates: list(candidateSchema),
  },
  'How the faster forms of a model agree with its fp32 form, as measured on this machine.',
);
export type ShownVerdict = Static<typeof verdictSchema>;

/** What can be asked of models. */
export const TASKS = [
  'text-classification',
  'zero-shot-classification',
  'rerank',
  'token-classification',
] as const;
export type TaskName = (typeof TASKS)[number];

const shown = {
  id: text(),
  task: nullable(text('null if it is broken.')),
  tasks: list(choice(TASKS), 'What can be asked of it, its own task first; none if it is broken.'),
  takes_pairs: nullable(
    flag('Whether it reads two texts together; null until it has been prepared.'),
  ),
  labels: list(text()),
  state: choice(['unprepared', 'unloaded', 'loaded', 'broken']),
  reason: optional(text('Why a broken model cannot be used.')),
  dtype: nullable(
    choice(['fp32', 'fp16', 'bf16', 'fp64', 'q8', 'q4']),
    'Type of its weights; null if it is broken.',
  ),
  workers: list(object({ worker: text(), state: heldSchema })),
  graph: nullable(text('The graph that is served, below its folder.')),
  graph_reason: nullable(text('Why that one.')),
  form: nullable(text('The form that serves, of those that were tried; null if none were.')),
  form_reason: nullable(text('Why that one.')),
  source_mb: nullable(number()),
  mapped_mb: nullable(number('Weights that are mapped; null until they are measured.')),
  private_mb: nullable(number('Measured after a full batch.')),
  load_ms: nullable(number('Measured.')),
  last_used_at: nullable(instant('Time of its last request in this run.')),
};

export const modelSchema = object(shown);
export type ModelView = Static<typeof modelSchema>;

/** A model among all of them in the page's state, which is sent every second: a model may have thousands of labels. */
export const modelOfStateSchema = object({
  ...shown,
  labels: list(text(), 'The first few; `GET /v1/models/{id}` has all of them.'),
  label_count: integer(),
});
export type ModelOfState = Static<typeof modelOfStateSchema>;

export const modelsSchema = object({ models: list(modelSchema) });
export type Models = Static<typeof modelsSchema>;

/** Where a model comes from. */
const originSchema = object({
  kind: choice(['folder', 'hub'], 'hub: a snapshot in the cache of a hub.'),
  folder: nullable(text('Below the models folder; null for a model of a hub.')),
  hub_id: nullable(text('org/name; null for a folder.')),
  commit: nullable(text('The commit of that snapshot: 40 hex digits.')),
  disk_mb: number('What its files take on the disk, other files of its folder too.'),
});

/** One model, with everything that was decided about it. */
export const modelDetailSchema = object({
  ...shown,
  origin: nullable(originSchema, 'null if it is broken.'),
  aliases: list(text(), 'Other names, from plimsoll.json.'),
  decisions: list(
    object({ about: text(), value: text(), from: text() }),
    'What was decided about it, and the file, rule or measurement that decided.',
  ),
  verdict: nullable(verdictSchema),
});
export type ModelDetail = Static<typeof modelDetailSchema>;

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
