import { hfErrorSchema } from '../../../contract/doors/hugging-face.js';
import type { ErrorForm } from '../../errors.js';

/** Codes that the protocol tells as 429: its clients wait after one, and ask again at once after a 503. */
const OVERLOAD: ReadonlySet<string> = new Set(['QUEUE_FULL', 'TOO_MANY_SESSIONS']);

/** Errors as Hugging Face's inference writes them. */
export const hfErrors: ErrorForm = {
  schema: hfErrorSchema,
  statusOf: ({ code, status }) => (OVERLOAD.has(code) ? 429 : status),
  bodyOf: ({ message }) => ({ error: message }),
};
