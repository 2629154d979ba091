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

/** What is classified: one text, or several. */
function inputs(maxInputs: number): Schema<string | readonly string[]> {
  const input = text({ pattern: '\\S' });
  return {
    description: 'One text, or several.',
    anyOf: [input, list(input, { minItems: 1, maxItems: maxInputs })],
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
