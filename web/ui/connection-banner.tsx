import { useEffect, useState } from 'preact/hooks';
import { clock, span } from '../data/format.js';
import { useLive } from '../data/use-live.js';

/** How long the page says that the connection is back. */
const RESTORED_SHOWN_MS = 6000;
const SECOND_MS = 1000;

/** What must be seen wherever one has scrolled to: that the figures are old, or that the page is. */
export function ConnectionBanner() {
  const { connection, isOutdated } = useLive();
  const isRestored = useRestored();
  if (connection.state === 'lost') {
    return (
      <div class="banner banner-lost" role="alert">
        <p>
          <strong>No connection since {clock(new Date(connection.sinceMs).toISOString())}.</strong>{' '}
          {connection.reason} The figures are out of date
          <Age sinceMs={connection.sinceMs} />. The page keeps trying.
        </p>
      </div>
    );
  }
  if (isOutdated) {
    return (
      <div class="banner" role="status">
        <p>The server now runs another version than this page.</p>
        <button type="button" onClick={() => location.reload()}>
          Reload the page
        </button>
      </div>
    );
  }
  if (!isRestored || connection.state !== 'live') return null;
  return (
    <div class="banner banner-restored" role="status">
      <p>
        Connected again after {span((connection.restoredAfterMs ?? 0) / 1000)}. What happened
        meanwhile has been fetched.
      </p>
    </div>
  );
}

/** Counts on while nothing else draws the page. Hidden from screen readers, which an alert that changes would interrupt. */
function Age({ sinceMs }: { readonly sinceMs: number }) {
  const [, draw] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => draw((count) => count + 1), SECOND_MS);
    return () => clearInterval(timer);
  }, []);
  return <span aria-hidden="true"> by {span((Date.now() - sinceMs) / 1000)}</span>;
}

function useRestored(): boolean {
  const { connection } = useLive();
  const [isShown, show] = useState(false);
  useEffect(() => {
    if (connection.state !== 'live' || connection.restoredAfterMs === undefined) return undefined;
    show(true);
    const timer = setTimeout(() => show(false), RESTORED_SHOWN_MS);
    return () => clearTimeout(timer);
  }, [connection]);
  return isShown;
}
