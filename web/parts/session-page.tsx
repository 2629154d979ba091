import { useEffect, useRef, useState } from 'preact/hooks';
import { api } from '../data/api.js';
import { clock, count, mb, ms, percent } from '../data/format.js';
import { useAction, useLive } from '../data/use-live.js';
import type { Receipt, SessionView } from '../data/wire.js';
import { Failure, Panel } from './panel.js';
import { ReceiptView } from './receipt.js';

const MAX_RECEIPTS = '100';

/** One session: its figures, and every receipt of it, action by action. */
export function SessionPage({ id }: { readonly id: string }) {
  const { session, receipts, failure } = useSession(id);
  const { running, failure: actionFailure, run } = useAction();
  const heading = useRef<HTMLElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <main id="main" class="grid session-page" tabIndex={-1} ref={heading}>
      <p class="back">
        <a href="#/">‹ Everything</a>
      </p>
      <Panel
        title={`Session ${id}`}
        area="session"
        aside={
          session?.state === 'open' && (
            <button
              type="button"
              disabled={running !== undefined}
              onClick={() => run('end', () => api.endSession(id))}
            >
              {running === undefined ? 'End it now' : 'Ending …'}
            </button>
          )
        }
      >
        <Failure message={failure ?? actionFailure} />
        {session !== undefined && <Figures session={session} />}
      </Panel>
      <Panel title="Receipts" area="receipts">
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

function Figures({ session }: { readonly session: SessionView }) {
  const { cleanup } = session;
  const rows: readonly (readonly [string, string])[] = [
    [
      'state',
      session.end_cause === null ? session.state : `${session.state}: ${session.end_cause}`,
    ],
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
          ['given back', `${mb(cleanup.freed_private_mb)} MB, ${shareOf(cleanup)}`],
        ] as const)),
  ];
  return (
    <dl class="facts">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function shareOf({ freed_private_mb: freed, before }: Receipt): string {
  return `${percent(freed / Math.max(before.private_mb, 0.001))} of it`;
}

/** The session and its receipts, asked for again when the server tells that it has ended. */
function useSession(id: string) {
  const { state, past, link } = useLive();
  const [asked, setAsked] = useState<SessionView | undefined>(undefined);
  const [receipts, setReceipts] = useState<readonly Receipt[]>([]);
  const [failure, setFailure] = useState<string | undefined>(undefined);
  const isPast = past.some((session) => session.id === id);
  const isLive = link.state === 'live';
  useEffect(() => {
    let isWanted = true;
    const ask = async () => {
      const session = await api.session(id);
      const found = await api.receipts({ session: id, limit: MAX_RECEIPTS });
      if (!isWanted) return;
      setAsked(session);
      setReceipts(found.toReversed());
      setFailure(undefined);
    };
    ask().catch((error: unknown) => {
      if (isWanted) setFailure(error instanceof Error ? error.message : String(error));
    });
    return () => {
      isWanted = false;
    };
  }, [id, isPast, isLive]);
  const live = state?.sessions.find((session) => session.id === id);
  const ended = past.find((session) => session.id === id);
  const open = live === undefined || asked === undefined ? undefined : { ...asked, ...live };
  return { session: ended ?? open ?? asked, receipts, failure };
}
