import { flag, object, type Static, text } from './schema/schema.js';

/** The body of every error. */
export const errorSchema = object(
  {
    error: object({
      code: text('One of the codes in docs/errors.md.'),
      message: text(),
      retryable: flag('Whether the same request may succeed later.'),
    }),
  },
  'Every error has this shape.',
);
export type ErrorBody = Static<typeof errorSchema>;
