/** Something did not end within its time. */
export class TimeLimitError extends Error {
  override readonly name = 'TimeLimitError';
}

/** Whether the work settles within the time. It goes on if it does not; its failure is then ignored. */
export async function settledWithin(work: Promise<unknown>, limitMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, limitMs, false);
  });
  const settled = work.then(
    () => true,
    () => true,
  );
  try {
    return await Promise.race([settled, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The work's outcome if it settles within the time.
 *
 * @param what names the work in the error.
 * @throws TimeLimitError if it does not; the work goes on, and its outcome is ignored.
 */
export async function withinTime<T>(work: Promise<T>, limitMs: number, what: string): Promise<T> {
  if (await settledWithin(work, limitMs)) return work;
  throw new TimeLimitError(`${what} did not end within ${limitMs} ms`);
}
