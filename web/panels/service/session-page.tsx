import { useEffect, useRef, useState } from 'preact/hooks';
import { api } from '../../data/api.js';
import { clock, count, jobText, mb, ms, percent } from '../../data/format.js';
import { type Failure, failureFrom, useAction } from '../../data/use-action.js';
import { useLive } from '../../data/use-live.js';
import type { Receipt, SessionView } from '../../data/wire.js';
import { Facts } from '../../ui/facts.js';
import { FailureMessage } from '../../ui/messages.js';
import { Panel } from '../../ui/panel.js';
import { ReceiptView } from '../../ui/receipt.js';
import { SessionServers } from './session-servers.js';

const MAX_RECEIPTS = '100';

/** One session: its figures and all its receipts. */
export function SessionPage({ id }: { readonly id: string }) {
  const { session, fleet, receipts, failure } = useSession(id);
  const action = useAction();
  const main = useRef<HTMLElement>(null);
  useEffect(() => main.current?.focus(), []);
  return (
    <main id="main" class="session-page" tabIndex={-1} ref={main}>
      <p class="back">
        <a href="#/">‹ Overview</a>
      </p>
      <Panel
        title={`Session ${id}`}
        aside={
          session?.state === 'open' && (
            <button
              type="button"
              disabled={action.running !== undefined}
              onClick={() => action.run('end', () => api.endSession(id))}
            >
              {action.running === undefined ? 'End it now' : 'Ending …'}
            </button>
          )
        }
      >
        <FailureMessage failure={failure} />
        <FailureMessage failure={action.failure} dismiss={action.dismiss} />
        {session !== undefined && <Facts facts={factsOf(session)} />}
      </Panel>
      {fleet !== undefined && <SessionServers fleet={fleet} />}
      <Panel title="Receipts">
        {receipts.length === 0 && (
          <p class="none">
            {session?.state === 'open'
              ? 'The receipt of its cleanup is written when it ends.'
              : 'There is no receipt of this session.'}
          </p>
        )}
        {receipts.map((receipt) => (
          <ReceiptView key={receipt.id} receipt={receipt} />
        ))}
      </Panel>
    </main>
  );
}

function factsOf(session: SessionView): readonly (readonly [string, string])[] {
  const { cleanup, state, end_cause: cause } = session;
  return [
    ['state', cause === null ? state : `${state}: ${cause}`],
    ...(session.job === undefined ? [] : [['for', jobText(session.job)] as const]),
    ['opened', clock(session.opened_at)],
    ...(session.ended_at === null ? [] : [['ended', clock(session.ended_at)] as const]),
    ['users', `${count(session.users)} of ${count(session.max_users)}`],
    ['requests', count(session.requests)],
    ['failed', count(session.failures)],
    ['p50', ms(session.p50_ms)],
    ['p99', ms(session.p99_ms)],
    ...(cleanup === null
      ? []
      : ([
          ['taken', `${mb(session.taken_mb ?? null)} MB`],
          ['private memory at its end', `${mb(cleanup.before.private_mb)} MB`],
          ['freed', `${mb(cleanup.freed_private_mb)} MB, ${freedShare(cleanup)} of it`],
        ] as const)),
  ];
}

function freedShare({ freed_private_mb: freedMb, before }: Receipt): string {
  return percent(freedMb / Math.max(before.private_mb, 0.001));
}

/** The session and its receipts; fetched again when it ends and when the connection comes back. */
function useSession(id: string) {
  const { state, past, connection } = useLive();
  const [fetched, setFetched] = useState<SessionView | undefined>(undefined);
  const [receipts, setReceipts] = useState<readonly Receipt[]>([]);
  const [failure, setFailure] = useState<Failure | undefined>(undefined);
  const isPast = past.some((session) => session.id === id);
  const isLive = connection.state === 'live';
  useEffect(() => {
    let isCurrent = true;
    const fetchAll = async () => {
      const session = await api.session(id);
      const found = await api.receipts({ session: id, limit: MAX_RECEIPTS });
      if (!isCurrent) return;
      setFetched(session);
      setReceipts(found.toReversed());
      setFailure(undefined);
    };
    fetchAll().catch((error: unknown) => {
      if (isCurrent) setFailure(failureFrom(error));
    });
    return () => {
      isCurrent = false;
    };
  }, [id, isPast, isLive]);
  const live = state?.sessions.find((session) => session.id === id);
  const ended = past.find((session) => session.id === id);
  const open = live === undefined || fetched === undefined ? undefined : { ...fetched, ...live };
  return { session: ended ?? open ?? fetched, fleet: fetched?.fleet, receipts, failure };
}
