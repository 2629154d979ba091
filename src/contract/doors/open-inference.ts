/** The shapes of the Open Inference protocol and of Triton's extensions, as this server writes them. */
import {
  choice,
  flag,
  integer,
  list,
  object,
  optional,
  type Schema,
  type Static,
  text,
} from '../schema/schema.js';

export const oipErrorSchema = object({ error: text() }, 'Every error has this shape.');

export const oipServerSchema = object({
  name: text(),
  version: text(),
  extensions: list(text(), 'Extensions of Triton that this server has.'),
});

export const oipLiveSchema = object({ live: flag() });
export const oipReadySchema = object({ live: flag(), ready: flag(), error: optional(text()) });
export const oipModelReadySchema = object({ name: text(), ready: flag(), error: optional(text()) });

const tensorSchema = object({
  name: text(),
  datatype: text(),
  shape: list(integer('-1: of any size.')),
});

export const oipMetadataSchema = object({
  name: text(),
  versions: list(text()),
  platform: text(),
  inputs: list(tensorSchema),
  outputs: list(tensorSchema),
});
export type ModelMetadata = Static<typeof oipMetadataSchema>;

const configTensor = {
  name: text(),
  data_type: text(),
  dims: list(integer()),
};

const parametersSchema: Schema<Readonly<Record<string, { readonly string_value: string }>>> = {
  type: 'object',
  additionalProperties: object({ string_value: text() }),
};

export const oipConfigSchema = object({
  name: text(),
  platform: text(),
  backend: text(),
  max_batch_size: integer('0: the first size of each tensor is that of the batch.'),
  input: list(object({ ...configTensor, optional: flag() })),
  output: list(object(configTensor)),
  parameters: parametersSchema,
});
export type ModelConfig = Static<typeof oipConfigSchema>;

export const oipIndexReplySchema = list(
  object({
    name: text(),
    version: text(),
    state: choice(['READY', 'UNAVAILABLE']),
    reason: text(),
  }),
);

/** What a load or an unload is answered with. */
export const oipDoneSchema = object({});

const durationSchema = object({ count: integer(), ns: integer() });
export type ShownDuration = Static<typeof durationSchema>;

export const oipStatsSchema = object({
  model_stats: list(
    object({
      name: text(),
      version: text(),
      last_inference: integer('Milliseconds since 1970; 0: there was none.'),
      inference_count: integer('Rows that were computed.'),
      execution_count: integer('Batches that were run.'),
      inference_stats: object({
        success: durationSchema,
        fail: durationSchema,
        queue: durationSchema,
        compute_input: durationSchema,
        compute_infer: durationSchema,
        compute_output: durationSchema,
        cache_hit: durationSchema,
        cache_miss: durationSchema,
      }),
      batch_stats: list(
        object({
          batch_size: integer(),
          compute_input: durationSchema,
          compute_infer: durationSchema,
          compute_output: durationSchema,
        }),
      ),
      memory_usage: list(object({ type: text(), id: integer(), byte_size: integer() })),
    }),
  ),
});
export type ModelStats = Static<typeof oipStatsSchema>['model_stats'][number];

/** A number, or a text for BYTES. */
const elementSchema: Schema<number | string> = { type: ['number', 'string'] };

export const oipInferReplySchema = object({
  model_name: text(),
  model_version: text(),
  id: optional(text()),
  outputs: list(
    object({
      name: text(),
      datatype: text(),
      shape: list(integer()),
      data: optional(list(elementSchema)),
      parameters: optional(object({ binary_data_size: integer() })),
    }),
  ),
});
