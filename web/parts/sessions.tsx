import { clock, count, mb, ms, NOTHING, span } from '../data/format.js';
import { useLive } from '../data/use-live.js';
import type { OpenSession, SessionView } from '../data/wire.js';
import { Panel, Table } from './panel.js';

const OPEN_HEADS = ['session', 'open for', '#users', '#requests', '#p50', '#p99'];
const PAST_HEADS = [
  'session',
  'ended',
  '#users',
  '#requests',
  '#p50',
  '#p99',
  '#taken, MB',
  '#given back, MB',
];
const PAST_SHOWN = 14;

export function Sessions() {
  const { state, past } = useLive();
  const open = state?.sessions ?? [];
  const shown = past.slice(0, PAST_SHOWN);
  return (
    <Panel title="Sessions" area="sessions">
      <h3>Open</h3>
      {open.length === 0 ? (
        <p class="none">No session is open.</p>
      ) : (
        <Table label="Open sessions" heads={OPEN_HEADS}>
          {open.map((session) => (
            <OpenRow key={session.id} session={session} now={state?.at ?? session.opened_at} />
          ))}
        </Table>
      )}
      <h3>Past</h3>
      {shown.length === 0 ? (
        <p class="none">No session has ended yet.</p>
      ) : (
        <Table label="Past sessions" heads={PAST_HEADS}>
          {shown.map((session) => (
            <PastRow key={session.id} session={session} now={state?.at} />
          ))}
        </Table>
      )}
    </Panel>
  );
}

function Common({ session }: { readonly session: OpenSession }) {
  const { users, max_users: most, requests, failures } = session;
  return (
    <>
      <td class="figure">
        {count(users)} <small>of {count(most)}</small>
      </td>
      <td class="figure">
        {count(requests)}
        {failures > 0 && <small class="bad"> {count(failures)} failed</small>}
      </td>
      <td class="figure">{ms(session.p50_ms)}</td>
      <td class="figure">{ms(session.p99_ms)}</td>
    </>
  );
}

function OpenRow({ session, now }: { readonly session: OpenSession; readonly now: string }) {
  return (
    <tr>
      <th scope="row">
        <SessionLink id={session.id} />
      </th>
      <td>{span((Date.parse(now) - Date.parse(session.opened_at)) / 1000)}</td>
      <Common session={session} />
    </tr>
  );
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
    <tr>
      <th scope="row">
        <SessionLink id={session.id} />
      </th>
      <td>{session.ended_at === null ? session.state : clock(session.ended_at, now)}</td>
      <Common session={session} />
      <td class="figure">{mb(session.taken_mb ?? null)}</td>
      <td class="figure">{cleanup === null ? NOTHING : mb(cleanup.freed_private_mb)}</td>
    </tr>
  );
}

function SessionLink({ id }: { readonly id: string }) {
  return (
    <a href={`#/sessions/${encodeURIComponent(id)}`}>
      {id.slice(0, 10)}
      <span class="visually-hidden">, its own page</span>
    </a>
  );
}
