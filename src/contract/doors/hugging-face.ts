import { SCORE_FUNCTIONS } from '../classify.js';
import {
  flag,
  integer,
  list,
  maybe,
  number,
  object,
  optional,
  type Schema,
  type Static,
  text,
} from '../schema/schema.js';

/** How tokens of one entity are put together. */
export const AGGREGATIONS = ['none', 'simple', 'first', 'average', 'max'] as const;

const MAX_LABEL = 1000;

/** One of some names in any case, as pipelines read them. */
function nameOf(names: readonly string[], note = '') {
  return text({
    maxLength: 100,
    description: `In upper or lower case: ${names.join(', ')}.${note}`,
  });
}

/** Parameters of every task; which of them count is decided by what is asked. */
const parameters = object({
  function_to_apply: maybe(nameOf(SCORE_FUNCTIONS)),
  top_k: maybe(integer({ minimum: 1 })),
  return_all_scores: maybe(
    flag('The old name of top_k, which counts where both are there: true is all, false is 1.'),
  ),
  max_length: maybe(
    integer({
      minimum: 1,
      description: 'In tokens; what is less than the model takes is refused.',
    }),
  ),
  candidate_labels: optional({
    description:
      'A list of labels, or labels divided by commas: asks for zero-shot classification.',
    type: ['array', 'string', 'null'],
    items: text({ maxLength: MAX_LABEL }),
  } as Schema<readonly string[] | string | null>),
  hypothesis_template: maybe(text({ maxLength: MAX_LABEL })),
  multi_label: maybe(flag()),
  aggregation_strategy: maybe(nameOf(AGGREGATIONS, ' By default simple.')),
  ignore_labels: maybe(list(text({ maxLength: MAX_LABEL }), { maxItems: 1000 })),
  stride: maybe(integer({ minimum: 0, maximum: 100_000 })),
});
export type HfParameters = Static<typeof parameters>;

export const hfRequestSchema = object({
  inputs: {
    description:
      'A text, a pair of texts ({text, text_pair}), or a list of such; in a list a pair may be a list of two texts. Token classification and zero-shot take texts alone.',
    examples: ['Subject: You have won\n\nClick here to claim your prize'],
  } as Schema<unknown>,
  parameters: maybe(parameters),
});
export type HfRequest = Static<typeof hfRequestSchema>;

const labelScore = object({ label: text(), score: number() });
const entity = object({
  entity: optional(text('With aggregation_strategy none.')),
  entity_group: optional(text('With the others.')),
  index: optional(integer()),
  score: number(),
  word: text(),
  start: integer('In code points of the text.'),
  end: integer(),
});

export const hfReplySchema: Schema<unknown> = {
  description:
    'Text classification: a list of scores for each text. Zero-shot and token classification: one list for one text, a list of lists for several.',
  anyOf: [list(list(labelScore)), list(labelScore), list(entity), list(list(entity))],
};

export const hfErrorSchema = object({ error: text() });
