import {
  flag,
  integer,
  list,
  nullable,
  number,
  object,
  oneOf,
  optional,
  type Schema,
  text,
} from '../schema/schema.js';

const model = optional(nullable(text({ minLength: 1, maxLength: 600 })));

/** One text, or several; read by hand. */
const texts: Schema<unknown> = { description: 'One text, or several.' };

/** vLLM's names, old and new, for leaving the outputs of a model as they are. */
const activation = {
  softmax: optional(nullable(flag())),
  activation: optional(nullable(flag())),
  use_activation: optional(nullable(flag('false: the outputs of the model as they are.'))),
};

/** Tokens are not counted in answers. */
const usage = object({ prompt_tokens: nullable(integer()), total_tokens: nullable(integer()) });
const head = { id: text(), created: integer('Seconds since 1970.'), model: text(), usage };

export const vllmClassifySchema = object({ model, input: texts, ...activation });
export const vllmClassifyReplySchema = object({
  ...head,
  object: oneOf(['list']),
  data: list(
    object({
      index: integer(),
      label: text('The best one.'),
      probs: list(number(), 'By the index of the label.'),
      num_classes: integer(),
    }),
  ),
});

export const vllmScoreSchema = object({
  model,
  text_1: texts,
  text_2: texts,
  ...activation,
});
export const vllmScoreReplySchema = object({
  ...head,
  object: oneOf(['list']),
  data: list(object({ index: integer(), object: oneOf(['score']), score: number() })),
});

export const vllmRerankSchema = object({
  model,
  query: text(),
  documents: list({ description: 'A text, or {text}.' } as Schema<unknown>),
  top_n: optional(nullable(integer({ minimum: 0 }))),
  return_documents: optional(nullable(flag('By default true.'))),
  ...activation,
});
export const vllmRerankReplySchema = object({
  id: text(),
  model: text(),
  usage,
  results: list(
    object({
      index: integer(),
      document: optional(object({ text: text() })),
      relevance_score: number(),
    }),
    'The best first.',
  ),
});

const fact = { message: text(), type: text(), param: nullable(text()), code: integer() };
export const vllmErrorSchema = object(
  { object: oneOf(['error']), ...fact, error: object(fact) },
  'vLLM’s old form, and its new one below `error`; Cohere’s clients read `message`.',
);
