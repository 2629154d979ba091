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

/** The output of a job is a folder that it reads. */
export function outputIsInput(place: string): InputError {
  return new InputError(
    `the output ${place} is the folder that is read: its parts would be read when the job runs again; name another folder, ${place.replace(/\/+$/, '')}/results say`,
  );
}

/** @param written how many files of the output were left out */
export function nothingMatches(pattern: string, written: number): InputError {
  const but = written === 0 ? '' : ` but the ${written} that lie in the output of the job itself`;
  return new InputError(
    `no file matches ${pattern}${but} (a pattern of folders ends with /, and is read like those folders)`,
  );
}
