import { useEffect, useState } from 'preact/hooks';
import { ApiError } from './api.js';
import { useLive } from './use-live.js';

/** A failure that nobody dismisses goes by itself after this: by then it describes the past. */
const FAILURE_SHOWN_MS = 30_000;

export interface Failure {
  readonly message: string;
  /** The server did not answer at all; void once it does. */
  readonly isNoAnswer: boolean;
}

export interface Action {
  /** Name of the action that is running. */
  readonly running: string | undefined;
  /** Why the last action failed; shown for a while. */
  readonly failure: Failure | undefined;
  /** Starts an action; does nothing while another one is running. */
  readonly run: (name: string, work: () => Promise<unknown>) => void;
  readonly dismiss: () => void;
}

/** What the buttons of a panel do: one action at a time, with its failure. */
export function useAction(): Action {
  const { connection } = useLive();
  const [running, setRunning] = useState<string | undefined>(undefined);
  const [failure, setFailure] = useState<Failure | undefined>(undefined);
  const dismiss = () => setFailure(undefined);
  useEffect(() => {
    if (failure === undefined) return undefined;
    const timer = setTimeout(dismiss, FAILURE_SHOWN_MS);
    return () => clearTimeout(timer);
  }, [failure]);
  useEffect(() => {
    if (connection.state === 'live' && failure?.isNoAnswer) dismiss();
  }, [connection]);
  const run = (name: string, work: () => Promise<unknown>) => {
    if (running !== undefined) return;
    setRunning(name);
    dismiss();
    work()
      .catch((error: unknown) => setFailure(failureFrom(error)))
      .finally(() => setRunning(undefined));
  };
  return { running, failure, run, dismiss };
}

export function failureFrom(error: unknown): Failure {
  const isNoAnswer = error instanceof ApiError && error.status === 0;
  return { message: error instanceof Error ? error.message : String(error), isNoAnswer };
}
