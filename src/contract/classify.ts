import {
  choice,
  closed,
  flag,
  integer,
  list,
  number,
  object,
  oneOf,
  optional,
  type Schema,
  type Static,
  text,
} from './schema/schema.js';

/** Two texts that the model reads together: a premise and a hypothesis, a question and a passage. */
export interface TextPair {
  readonly text: string;
  readonly text_pair: string;
}

/** What is classified: one text or pair, or several. */
function inputs(maxInputs: number): Schema<string | TextPair | readonly (string | TextPair)[]> {
  const words = { pattern: '\\S' };
  // One of the two may be empty: pipelines score such a pair, and the others of a request should not fail with it.
  const pair: Schema<TextPair> = {
    ...closed({ text: text(), text_pair: text() }),
    anyOf: ['text', 'text_pair'].map((one) => ({
      type: 'object',
      properties: { [one]: text(words) },
    })),
  };
  const input: Schema<string | TextPair> = { anyOf: [text(words), pair] };
  return {
    description:
      'One text, or several. Instead of a text two that the model reads together: {"text", "text_pair"}.',
    anyOf: [text(words), pair, list(input, { minItems: 1, maxItems: maxInputs })],
    examples: ['Subject: You have won\n\nClick here to claim your prize'],
  };
}

/** Functions that make scores of a model's outputs; `none` leaves them as they are. */
export const SCORE_FUNCTIONS = ['softmax', 'sigmoid', 'none'] as const;

/** Longest id of a session, and longest name of a user, in a request. */
export const MAX_SESSION_CHARACTERS = 100;
export const MAX_USER_CHARACTERS = 128;

/** @param maxInputs texts of one request at most (`request.max_inputs`). */
export function classifyRequestSchema(maxInputs: number) {
  return closed({
    inputs: inputs(maxInputs),
    model: optional(text({ minLength: 1, maxLength: 600, examples: ['spam'] })),
    top_k: optional(integer({ minimum: 1, maximum: 100_000 })),
    function_to_apply: optional(
      choice(
        SCORE_FUNCTIONS,
        'What is applied to the outputs; by default what the model asks for.',
      ),
    ),
    threshold: optional(number('Labels with a lower score are left out.')),
    session: optional(text({ minLength: 1, maxLength: MAX_SESSION_CHARACTERS })),
    user: optional(text({ minLength: 1, maxLength: MAX_USER_CHARACTERS })),
  });
}
export type ClassifyRequest = Static<ReturnType<typeof classifyRequestSchema>>;

const labelScoreSchema = object({ label: text(), score: number() });
export type LabelScore = Static<typeof labelScoreSchema>;

/** Where a result came from. */
export const resultSourceSchema = oneOf(
  [false, 'memory', 'redis'],
  'false: it was computed now; else the tier of the cache.',
);

export const answerSchema = object({
  model: text(),
  session: text(),
  user: text(),
  results: list(list(labelScoreSchema), 'One list for each input, the highest score first.'),
  truncated: list(flag(), 'For each input: whether it was longer than the model takes.'),
  cached: list(resultSourceSchema, 'For each input.'),
  timing: object({
    queue_ms: number(),
    tokenize_ms: number(),
    run_ms: number(),
    total_ms: number(),
  }),
});
export type Answer = Static<typeof answerSchema>;
