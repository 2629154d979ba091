import {
  choice,
  closed,
  flag,
  integer,
  list,
  object,
  type Schema,
  type Static,
  text,
} from './schema/schema.js';

/** @param maxInputs texts of one request at most (`request.max_inputs`). */
export function tokenizeRequestSchema(maxInputs: number) {
  const inputs: Schema<string | readonly string[]> = {
    description: 'One text, or several.',
    anyOf: [text(), list(text(), { minItems: 1, maxItems: maxInputs })],
  };
  return closed({ model: text({ minLength: 1, maxLength: 600, examples: ['spam'] }), inputs });
}

export const tokenizedSchema = object({
  model: text(),
  max_tokens: integer(),
  tokenizer: choice(['javascript', 'native']),
  results: list(
    object({
      ids: list(integer()),
      tokens: list(text()),
      offsets: list(
        list(integer()),
        'Begin and end in code points of the text; 0, 0 for special tokens.',
      ),
      count: integer('Tokens, special ones included.'),
      truncated: flag('Whether a part of the text did not fit.'),
    }),
  ),
});
export type Tokenized = Static<typeof tokenizedSchema>;
