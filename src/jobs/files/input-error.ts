import { PlimsollError } from '../../errors.js';

/**
 * A file or folder of a job cannot be read, or not be written, and no other attempt would mend that: it is not there, it has
 * changed, it is not allowed, it is broken. The message says which, and what to do. Everything else that is thrown (a network
 * that fails, a full disk) may go well at another attempt.
 */
export class InputError extends PlimsollError {
  constructor(message: string, cause?: unknown) {
    super('INVALID_REQUEST', message, cause === undefined ? {} : { cause });
    this.name = 'InputError';
  }
}
