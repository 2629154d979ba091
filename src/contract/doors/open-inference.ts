/** The shapes of the Open Inference protocol and of Triton's extensions, as this server reads and writes them. */
import { SCORE_FUNCTIONS } from '../classify.js';
import {
  choice,
  flag,
  integer,
  list,
  maybe,
  nullable,
  object,
  optional,
  type Properties,
  type Schema,
  type Static,
  text,
} from '../schema/schema.js';
import { AGGREGATION_STRATEGIES } from './tasks.js';

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

/** Clients send null for what they leave open, and parameters that other servers know. */
function parameters<const P extends Properties>(known: P) {
  return maybe(object(known, { additionalProperties: true }));
}

const inputSchema = object({
  name: choice(['text', 'text_pair', 'input_ids', 'attention_mask', 'token_type_ids']),
  datatype: choice(['BYTES', 'INT64', 'INT32']),
  shape: list(integer({ minimum: 0 }), 'The first size is the number of rows.'),
  data: maybe(list({} as Schema<unknown>, 'The elements, flat or nested as the shape says.')),
  parameters: parameters({
    binary_data_size: maybe(
      integer({ minimum: 0, description: 'In place of data: so many bytes behind the JSON.' }),
    ),
  }),
});

/** What a model is asked: `Inference-Header-Content-Length` says how long it is, where bytes follow it. */
export const oipInferSchema = object({
  id: maybe(text('Comes back with the reply.')),
  inputs: list(inputSchema, { minItems: 1 }),
  outputs: maybe(
    list(
      object({
        name: text('label or score; logits; entities: see /v2/models/{model}.'),
        parameters: parameters({
          binary_data: maybe(flag('Bytes behind the JSON.')),
          classification: maybe(
            integer({ minimum: 0, description: 'So many of the best classes; 0: the numbers.' }),
          ),
        }),
      }),
      'By default all that the inputs lead to.',
    ),
  ),
  parameters: parameters({
    binary_data_output: maybe(flag('For outputs that do not say it themselves.')),
    function_to_apply: maybe(choice(SCORE_FUNCTIONS)),
    aggregation_strategy: maybe(choice(AGGREGATION_STRATEGIES)),
    stride: maybe(integer({ minimum: 0 })),
  }),
});

/** Which models of the repository are wanted. */
export const oipIndexSchema = nullable(
  object({ ready: maybe(flag('true: only those that are ready.')) }),
);

/** What may come with a load or an unload: `config` and files are refused. */
export const oipLoadSchema = nullable(object({ parameters: parameters({}) }));

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
