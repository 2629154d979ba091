/** What an error of the work means for the queue. Pure. */
import { PlimsollError, systemCodeOf } from '../../errors.js';
import { InputError } from '../files/input-error.js';
import { BusyError } from '../files/remote/retries.js';
import { JobFailure, NotNow, ShardFailure } from '../queue/queue.js';

/** Of the system: no space, no connection, no file handle. Each passes without a change of the job. */
const PASSING: ReadonlySet<string | undefined> = new Set([
  ...['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE', 'STORAGE_UNAVAILABLE', 'INSUFFICIENT_MEMORY'],
  ...['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'ETIMEDOUT', 'EPIPE', 'EAI_AGAIN'],
  ...['EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH', 'ENETDOWN'],
]);
/** This server cannot do it now: another one may, or this one later. */
const BUSY: ReadonlySet<string> = new Set([
  ...['TOO_MANY_SESSIONS', 'MEMORY_PRESSURE', 'SHUTTING_DOWN', 'MODEL_NOT_FOUND', 'QUEUE_FULL'],
]);
/** Every other attempt would meet them, too. */
const FINAL: ReadonlySet<string> = new Set(['INVALID_REQUEST', 'TASK_NOT_SUPPORTED']);
const MOST_CAUSES = 5;

/**
 * Of anything but the reading of the input.
 *
 * 1. What is decided already stays.
 * 2. Output that cannot be written, and what the model cannot do: the whole job fails.
 * 3. A disk, a network or memory that has no room now, and a server that is busy: not now.
 * 4. Everything else: a failed attempt.
 */
export function failureOf(error: unknown): unknown {
  if (isDecided(error)) return error; // 1
  if (error instanceof InputError) return new JobFailure(error.message, { cause: error }); // 2
  if (error instanceof PlimsollError && FINAL.has(error.code)) {
    return new JobFailure(error.message, { cause: error });
  }
  return passing(error) ?? error; // 3, 4
}

/** Of the reading of the input: a file that cannot be read is the failure of its shards, not of the job. */
export function readFailureOf(error: unknown): unknown {
  if (isDecided(error)) return error;
  if (error instanceof InputError) return new ShardFailure(error.message, { cause: error });
  return passing(error) ?? error;
}

export async function onRead<T>(read: Promise<T>): Promise<T> {
  try {
    return await read;
  } catch (error) {
    throw readFailureOf(error);
  }
}

/** Passes on what is read; what its reading throws is told from what is thrown where it is used. */
export async function* reading<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* source;
  } catch (error) {
    throw readFailureOf(error);
  }
}

function isDecided(error: unknown): boolean {
  return error instanceof JobFailure || error instanceof ShardFailure || error instanceof NotNow;
}

function passing(error: unknown): NotNow | undefined {
  let cause = error;
  for (let depth = 0; depth < MOST_CAUSES && cause instanceof Error; depth += 1) {
    const { message } = cause;
    if (cause instanceof PlimsollError && BUSY.has(cause.code)) {
      return new NotNow('busy', message, { cause: error });
    }
    if (cause instanceof BusyError || PASSING.has(systemCodeOf(cause))) {
      return new NotNow('outage', message || String(systemCodeOf(cause)), { cause: error });
    }
    cause = cause.cause;
  }
  return undefined;
}
