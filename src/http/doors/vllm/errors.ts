import { vllmErrorSchema } from '../../../contract/doors/vllm.js';
import type { PlimsollError } from '../../../errors.js';
import type { ErrorForm } from '../../errors.js';

/** vLLM tells what was wrong with a request as 400, whatever it was. */
function statusOf({ status }: PlimsollError): number {
  return status === 422 || status === 424 ? 400 : status;
}

const TYPES: Readonly<Record<number, string>> = {
  400: 'BadRequestError',
  401: 'AuthenticationError',
  403: 'PermissionDeniedError',
  404: 'NotFoundError',
  429: 'RateLimitError',
  503: 'ServiceUnavailableError',
};

/** Errors as vLLM writes them, in its old form and in its new one; Cohere's clients read `message`. */
export const vllmErrors: ErrorForm = {
  schema: vllmErrorSchema,
  statusOf,
  bodyOf: (error) => {
    const code = statusOf(error);
    const type = TYPES[code] ?? (code < 500 ? 'BadRequestError' : 'InternalServerError');
    const fact = { message: error.message, type, param: null, code };
    return { object: 'error', ...fact, error: fact };
  },
};
