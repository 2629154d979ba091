import { createContext } from 'preact';
import { useContext, useEffect, useState } from 'preact/hooks';
import type { Live } from './live.js';

export const LiveContext = createContext<Live | undefined>(undefined);

/** What the page knows; whoever uses it is drawn anew with each change. */
export function useLive(): Live {
  const live = useContext(LiveContext);
  if (live === undefined) throw new Error('there is nothing live around this part');
  const [, draw] = useState(0);
  useEffect(() => live.subscribe(() => draw((count) => count + 1)), [live]);
  return live;
}

/** Something that a button does: whether it runs, and why it failed. */
export function useAction(): {
  readonly running: string | undefined;
  readonly failure: string | undefined;
  readonly run: (name: string, work: () => Promise<unknown>) => void;
} {
  const [running, setRunning] = useState<string | undefined>(undefined);
  const [failure, setFailure] = useState<string | undefined>(undefined);
  const run = (name: string, work: () => Promise<unknown>) => {
    if (running !== undefined) return;
    setRunning(name);
    setFailure(undefined);
    work()
      .catch((error: unknown) => setFailure(error instanceof Error ? error.message : String(error)))
      .finally(() => setRunning(undefined));
  };
  return { running, failure, run };
}
