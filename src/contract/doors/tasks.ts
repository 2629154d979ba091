/** What is asked beside plain classification: labels of the caller's own, documents by a query, names in a text. */
import { MAX_SESSION_CHARACTERS, MAX_USER_CHARACTERS, resultSourceSchema } from '../classify.js';
import {
  choice,
  closed,
  flag,
  integer,
  list,
  number,
  object,
  optional,
  type Properties,
  type Schema,
  type Static,
  text,
} from '../schema/schema.js';

/** Longest label, template or query: far beyond what any model takes. */
const MAX_PHRASE_CHARACTERS = 10_000;
const MAX_LABEL_CHARACTERS = 1000;

const who = {
  model: optional(text({ minLength: 1, maxLength: 600 })),
  session: optional(text({ minLength: 1, maxLength: MAX_SESSION_CHARACTERS })),
  user: optional(text({ minLength: 1, maxLength: MAX_USER_CHARACTERS })),
};

function oneOrMore(maxInputs: number): Schema<string | readonly string[]> {
  const input = text({ pattern: '\\S' });
  return {
    description: 'One text, or several.',
    anyOf: [input, list(input, { minItems: 1, maxItems: maxInputs })],
  };
}

/** @param maxInputs rows of one request at most (`request.max_inputs`). */
export function zeroShotRequestSchema(maxInputs: number) {
  return closed({
    inputs: oneOrMore(maxInputs),
    candidate_labels: list(text({ pattern: '\\S', maxLength: MAX_LABEL_CHARACTERS }), {
      minItems: 1,
      maxItems: maxInputs,
      description: 'Each costs one row for each text.',
      examples: [['refund', 'delivery', 'praise']],
    }),
    hypothesis_template: optional(
      text({
        maxLength: MAX_PHRASE_CHARACTERS,
        default: 'This example is {}.',
        description: '{} stands for a label, or {0}; {{ and }} are braces.',
      }),
    ),
    multi_label: optional(flag('Each label by itself; false: they compete.')),
    ...who,
  });
}

/** @param maxInputs documents of one request at most (`request.max_inputs`). */
export function rerankRequestSchema(maxInputs: number) {
  return closed({
    query: text({ pattern: '\\S', maxLength: MAX_PHRASE_CHARACTERS }),
    documents: list(text(), { minItems: 1, maxItems: maxInputs }),
    top_k: optional(integer({ minimum: 1, maximum: 100_000 })),
    raw_scores: optional(flag('The model’s output as it is; false: what the model asks for.')),
    ...who,
  });
}

export const AGGREGATION_STRATEGIES = ['none', 'simple', 'first', 'average', 'max'] as const;
const MAX_IGNORED = 1000;

/** @param maxInputs texts of one request at most (`request.max_inputs`). */
export function tokenClassificationRequestSchema(maxInputs: number) {
  return closed({
    inputs: oneOrMore(maxInputs),
    aggregation_strategy: optional(
      choice(AGGREGATION_STRATEGIES, 'How tokens become entities; by default none.'),
    ),
    ignore_labels: optional(
      list(text({ maxLength: MAX_LABEL_CHARACTERS }), {
        maxItems: MAX_IGNORED,
        description: 'Labels that are left out; by default O.',
      }),
    ),
    stride: optional(
      integer({
        minimum: 0,
        maximum: 100_000,
        description:
          'A text that is too long is cut into chunks that share so many tokens; without it the rest is cut off.',
      }),
    ),
    ...who,
  });
}

export type ZeroShotRequest = Static<ReturnType<typeof zeroShotRequestSchema>>;
export type RerankRequest = Static<ReturnType<typeof rerankRequestSchema>>;
export type TokenClassificationRequest = Static<
  ReturnType<typeof tokenClassificationRequestSchema>
>;

const timing = object({
  queue_ms: number(),
  tokenize_ms: number(),
  run_ms: number(),
  total_ms: number(),
});

function answer<const P extends Properties>(results: P) {
  return object({
    model: text(),
    session: text(),
    user: text(),
    ...results,
    truncated: list(flag(), 'For each input: whether it was longer than the model takes.'),
    cached: list(resultSourceSchema, 'For each input: the slowest source of its rows.'),
    timing,
  });
}

export const zeroShotAnswerSchema = answer({
  results: list(
    list(object({ label: text(), score: number() })),
    'One list for each text, the highest score first.',
  ),
});

export const rerankAnswerSchema = answer({
  results: list(
    object({ index: integer('Of the document in the request.'), score: number() }),
    'The best first.',
  ),
});

const entitySchema = object({
  label: text('The group of an aggregated entity, else the label of the token.'),
  score: number(),
  word: text(),
  start: integer('First code point of the text as sent.'),
  end: integer('Behind the last one.'),
  index: optional(integer('Without aggregation: the number of the token.')),
});

export type Entity = Static<typeof entitySchema>;

export const tokenClassificationAnswerSchema = answer({
  results: list(list(entitySchema), 'One list for each text, in the order of the text.'),
});
export type TokenClassificationAnswer = Static<typeof tokenClassificationAnswerSchema>;
export type ZeroShotAnswer = Static<typeof zeroShotAnswerSchema>;
export type RerankAnswer = Static<typeof rerankAnswerSchema>;
