import { messageOf, PlimsollError } from '../../errors.js';

const RETRY_AFTER_S = 5;
/** A caller is told after this long that the engine is away. */
const ANSWER_LIMIT_MS = 10_000;

/** @throws PlimsollError JOBS_UNAVAILABLE if the engine fails, or does not answer in time */
export async function inTime<T>(engine: string, work: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  try {
    const limit = new Promise<never>((_resolve, reject) => {
      const late = () => reject(new Error(`no answer within ${ANSWER_LIMIT_MS / 1000} s`));
      timer = setTimeout(late, ANSWER_LIMIT_MS);
    });
    return await Promise.race([work(), limit]);
  } catch (error) {
    if (error instanceof PlimsollError) throw error;
    const message = `the queue of jobs (${engine}) does not answer: ${messageOf(error)}`;
    throw new PlimsollError('JOBS_UNAVAILABLE', message, {
      cause: error,
      retryAfterSeconds: RETRY_AFTER_S,
    });
  } finally {
    clearTimeout(timer);
  }
}
