import {
  choice,
  flag,
  integer,
  list,
  nothing,
  nullable,
  number,
  object,
  optional,
  type Schema,
  text,
} from '../schema/schema.js';

const truncation = {
  truncate: optional(
    nullable(flag(), 'false: a text that is too long is refused. Otherwise it is cut.'),
  ),
  truncation_direction: optional(choice(['Left', 'Right', 'left', 'right'])),
};

export const teiPredictSchema = object({
  inputs: {
    description:
      'A text, a pair of texts (["a", "b"]), or a batch of such, each in a list of its own ([["a"], ["b", "c"]]).',
    examples: ['Subject: You have won\n\nClick here to claim your prize'],
  } as Schema<unknown>,
  raw_scores: optional(flag('The model’s outputs as they are.')),
  ...truncation,
});

const prediction = object({ score: number(), label: text() });
export const teiPredictReplySchema: Schema<unknown> = {
  description: 'One list for one input, a list of lists for a batch; the best first.',
  anyOf: [list(prediction), list(list(prediction))],
};

export const teiRerankSchema = object({
  query: text(),
  texts: list(text()),
  raw_scores: optional(flag()),
  return_text: optional(flag()),
  ...truncation,
});
export const teiRanksSchema = list(
  object({ index: integer(), score: number(), text: optional(text()) }),
  'The best first.',
);

export const teiTokenizeSchema = object({
  inputs: {
    description: 'A text, or several.',
    examples: ['My name is Ada'],
  } as Schema<unknown>,
  add_special_tokens: optional(flag()),
});
export const teiTokensSchema = list(
  list(
    object({
      id: integer(),
      text: text(),
      special: flag(),
      start: nullable(integer('In bytes of the text in UTF-8; null for special tokens.')),
      stop: nullable(integer()),
    }),
  ),
);

const labels = object({
  id2label: { type: 'object', additionalProperties: text() } as Schema<Record<string, string>>,
  label2id: { type: 'object', additionalProperties: integer() } as Schema<Record<string, number>>,
});
export const teiInfoSchema = object({
  model_id: text(),
  model_sha: nullable(text('The commit of a model of a hub.')),
  model_dtype: text(),
  model_type: object({ classifier: optional(labels), reranker: optional(labels) }),
  max_concurrent_requests: integer(),
  max_input_length: integer('Tokens.'),
  max_batch_tokens: integer('Of texts that run together; a text that is longer runs alone.'),
  max_batch_requests: nullable(integer('Texts that run together.')),
  max_client_batch_size: integer(),
  auto_truncate: flag(),
  tokenization_workers: integer(),
  version: text('Plimsoll’s.'),
  sha: nullable(text('TEI’s commit: always null.')),
  docker_label: nullable(text('TEI’s image: always null.')),
});

/** TEI's names of what went wrong. */
export const TEI_ERRORS = [
  'Unhealthy',
  'Backend',
  'Overloaded',
  'Validation',
  'Tokenizer',
  'Empty',
] as const;
export type TeiErrorType = (typeof TEI_ERRORS)[number];

export const teiErrorSchema = object({ error: text(), error_type: choice(TEI_ERRORS) });

/** An empty reply says it. */
export const teiHealthSchema = nothing('Requests are taken.');

/** What is sent below the address of a model: the end of the address says which it is. */
export const teiAnySchema: Schema<unknown> = {
  description: 'Of /predict, /rerank or /tokenize, as at the address without {id}.',
  anyOf: [teiPredictSchema, teiRerankSchema, teiTokenizeSchema],
};
export const teiAnyReplySchema: Schema<unknown> = {
  description: 'Of /predict, /rerank or /tokenize, as at the address without {id}.',
  anyOf: [teiPredictReplySchema, teiRanksSchema, teiTokensSchema],
};
export const teiAnyViewSchema: Schema<unknown> = {
  description: 'Of /info or /health, as at the address without {id}.',
  anyOf: [teiInfoSchema, teiHealthSchema],
};
