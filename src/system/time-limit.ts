import vm from 'node:vm';

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

/**
 * What synchronous work returns, if it ends within the time. Beyond it the work is broken off wherever it is, a regular
 * expression that tracks back for ever included; what it works on may then be in any state.
 *
 * @param what names the work in the error.
 * @throws TimeLimitError
 */
export function doneWithin<T>(work: () => T, limitMs: number, what: string): T {
  const done: { result?: { readonly value: T } } = {};
  const { context, script } = bounded();
  context.work = () => {
    done.result = { value: work() };
  };
  try {
    script.runInContext(context, { timeout: Math.max(1, Math.ceil(limitMs)) });
  } catch (error) {
    if (codeOf(error) !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
  } finally {
    context.work = undefined;
  }
  if (done.result === undefined) {
    throw new TimeLimitError(`${what} did not end within ${limitMs} ms`);
  }
  return done.result.value;
}

function codeOf(error: unknown): unknown {
  // Of another realm's class, so that instanceof does not know it.
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}

let made: { readonly context: vm.Context; readonly script: vm.Script } | undefined;

/** Only what runs within a context can be broken off. Making one takes milliseconds, so there is one. */
function bounded() {
  made ??= { context: vm.createContext({ work: undefined }), script: new vm.Script('work()') };
  return made;
}
