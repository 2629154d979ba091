import {
  choice,
  instant,
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

export const modelSchema = object({
  id: text(),
  task: nullable(text('null if it is broken.')),
  labels: list(text()),
  state: choice(['unprepared', 'unloaded', 'loaded', 'broken']),
  reason: optional(text('Why a broken model cannot be used.')),
  dtype: nullable(choice(['fp32', 'fp16', 'q8']), 'Type of its weights; null if it is broken.'),
  workers: list(object({ worker: text(), state: heldSchema })),
  source_mb: nullable(number()),
  mapped_mb: nullable(number('Weights that are mapped; null until they are measured.')),
  private_mb: nullable(number('Measured after a full batch.')),
  load_ms: nullable(number('Measured.')),
  last_used_at: nullable(instant('Time of its last request in this run.')),
});
export type ModelView = Static<typeof modelSchema>;

export const modelsSchema = object({ models: list(modelSchema) });
export type Models = Static<typeof modelsSchema>;
