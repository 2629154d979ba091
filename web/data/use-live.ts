import { createContext } from 'preact';
import { useContext, useEffect, useState } from 'preact/hooks';
import type { LiveData } from './live-data.js';

export const LiveContext = createContext<LiveData | undefined>(undefined);

/** The page's data; the component that calls this is drawn again with each change. */
export function useLive(): LiveData {
  const live = useContext(LiveContext);
  if (live === undefined) throw new Error('useLive needs a LiveContext.Provider around it');
  const [, draw] = useState(0);
  useEffect(() => live.subscribe(() => draw((count) => count + 1)), [live]);
  return live;
}
