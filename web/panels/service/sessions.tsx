import { useState } from 'preact/hooks';
import { clock, count, jobText, mb, ms, NOTHING, span } from '../../data/format.js';
import { useLive } from '../../data/use-live.js';
import type { OpenSession, SessionView } from '../../data/wire.js';
import { sessionHref } from '../../route.js';
import { Panel } from '../../ui/panel.js';
import { type Column, Row, Table } from '../../ui/table.js';

const WORK_COLUMNS: readonly Column[] = [
  { head: 'users', kind: 'figure' },
  { head: 'requests', kind: 'figure' },
  { head: 'p50', kind: 'figure' },
  { head: 'p99', kind: 'figure' },
];
const OPEN_COLUMNS: readonly Column[] = [
  { head: 'session' },
  { head: 'open for', kind: 'figure' },
  ...WORK_COLUMNS,
];
const PAST_COLUMNS: readonly Column[] = [
  { head: 'session' },
  { head: 'ended', kind: 'figure' },
  ...WORK_COLUMNS,
  { head: 'taken, MB', kind: 'figure' },
  { head: 'freed, MB', kind: 'figure' },
];
const PAST_SHOWN = 12;
/** Rows that a page can still draw each second. */
const OPEN_SHOWN = 50;

/** Open sessions, and past ones with what their cleanup freed. */
export function Sessions() {
  const { state, past } = useLive();
  const [isAll, showAll] = useState(false);
  const open = state?.sessions ?? [];
  const shown = isAll ? past : past.slice(0, PAST_SHOWN);
  return (
    <Panel title="Sessions">
      <h3>Open</h3>
      {open.length === 0 ? (
        <p class="none">No session is open.</p>
      ) : (
        <Table label="Open sessions" columns={OPEN_COLUMNS}>
          {open.slice(0, OPEN_SHOWN).map((session) => (
            <OpenRow key={session.id} session={session} now={state?.at ?? session.opened_at} />
          ))}
        </Table>
      )}
      {open.length > OPEN_SHOWN && (
        <p class="none">and {count(open.length - OPEN_SHOWN)} more, opened earlier</p>
      )}
      <h3>Past</h3>
      {shown.length === 0 ? (
        <p class="none">No session has ended yet.</p>
      ) : (
        <Table label="Past sessions" columns={PAST_COLUMNS}>
          {shown.map((session) => (
            <PastRow key={session.id} session={session} now={state?.at} />
          ))}
        </Table>
      )}
      {past.length > PAST_SHOWN && (
        <button type="button" class="show-all" onClick={() => showAll(!isAll)}>
          {isAll ? `Show the newest ${PAST_SHOWN}` : `Show all ${count(past.length)}`}
        </button>
      )}
    </Panel>
  );
}

function OpenRow({ session, now }: { readonly session: OpenSession; readonly now: string }) {
  const openSeconds = (Date.parse(now) - Date.parse(session.opened_at)) / 1000;
  return <Row cells={[link(session), span(openSeconds), ...workCells(session)]} />;
}

function PastRow({
  session,
  now,
}: {
  readonly session: SessionView;
  readonly now: string | undefined;
}) {
  const { cleanup } = session;
  return (
    <Row
      cells={[
        link(session),
        session.ended_at === null ? session.state : clock(session.ended_at, now),
        ...workCells(session),
        mb(session.taken_mb ?? null),
        cleanup === null ? NOTHING : mb(cleanup.freed_private_mb),
      ]}
    />
  );
}

function workCells({ users, max_users: most, requests, failures, p50_ms, p99_ms }: OpenSession) {
  return [
    <>
      {count(users)} <small>of {count(most)}</small>
    </>,
    <>
      {count(requests)}
      {failures > 0 && <small class="bad"> {count(failures)} failed</small>}
    </>,
    ms(p50_ms),
    ms(p99_ms),
  ];
}

function link({ id, job }: OpenSession) {
  return (
    <>
      <a class="session-link" href={sessionHref(id)}>
        {id}
        <span class="visually-hidden">, its own page</span>
      </a>
      {job !== undefined && <small class="session-job">{jobText(job)}</small>}
    </>
  );
}
