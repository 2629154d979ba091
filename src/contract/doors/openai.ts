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

/** The categories of OpenAI's moderations; clients expect all of them. */
export const MODERATION_CATEGORIES = [
  'harassment',
  'harassment/threatening',
  'hate',
  'hate/threatening',
  'illicit',
  'illicit/violent',
  'self-harm',
  'self-harm/intent',
  'self-harm/instructions',
  'sexual',
  'sexual/minors',
  'violence',
  'violence/graphic',
] as const;

export const moderationRequestSchema = object({
  input: {
    description: 'A text, several texts, or one input as a list of parts {type: "text", text}.',
    examples: ['Subject: You have won\n\nClick here to claim your prize'],
  } as Schema<unknown>,
  model: optional(nullable(text({ minLength: 1, maxLength: 600 }))),
});

const each = <T>(values: Schema<T>, description: string): Schema<Readonly<Record<string, T>>> => ({
  type: 'object',
  description,
  additionalProperties: values,
});

export const moderationReplySchema = object({
  id: text(),
  model: text(),
  results: list(
    object({
      flagged: flag(),
      categories: each(
        nullable(flag()),
        'null, or false where clients take no null, for what nobody assessed.',
      ),
      category_scores: each(number(), 'The highest score of the labels that stand for it.'),
      category_applied_input_types: each(
        list(oneOf(['text'])),
        'Empty for a category that nobody assessed: its score says nothing.',
      ),
    }),
    'One for each input.',
  ),
});

const model = object({
  id: text(),
  object: oneOf(['model']),
  created: integer('Seconds since 1970: when the server started.'),
  owned_by: text(),
});
export const openAiModelSchema = model;
export const openAiModelsSchema = object({ object: oneOf(['list']), data: list(model) });

export const openAiErrorSchema = object({
  error: object({
    message: text(),
    type: text(),
    param: nullable(text()),
    code: nullable(text()),
  }),
});
