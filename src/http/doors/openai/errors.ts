import { openAiErrorSchema } from '../../../contract/doors/openai.js';
import type { PlimsollError } from '../../../errors.js';
import type { ErrorForm } from '../../errors.js';

/** OpenAI knows no 422 and no 424: what it was sent, or the model, is wrong. */
function statusOf({ status }: PlimsollError): number {
  return status === 422 || status === 424 ? 400 : status;
}

function typeOf(status: number): string {
  if (status === 429) return 'rate_limit_error';
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}

/** Errors as OpenAI writes them. */
export const openAiErrors: ErrorForm = {
  schema: openAiErrorSchema,
  statusOf,
  bodyOf: (error) => {
    const { message, code } = error;
    return {
      error: { message, type: typeOf(statusOf(error)), param: null, code: code.toLowerCase() },
    };
  },
};
