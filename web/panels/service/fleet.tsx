import { count, mb, span } from '../../data/format.js';
import { useLive } from '../../data/use-live.js';
import type { FleetServer } from '../../data/wire.js';
import { Name } from '../../ui/name.js';
import { Panel } from '../../ui/panel.js';
import { type Column, Row, Table } from '../../ui/table.js';

const COLUMNS: readonly Column[] = [
  { head: 'server' },
  { head: 'state' },
  { head: 'memory, MB of its line' },
  { head: 'private, MB', kind: 'figure' },
  { head: 'models', kind: 'figure' },
  { head: 'workers', kind: 'figure' },
  { head: 'sessions', kind: 'figure' },
  { head: 'users', kind: 'figure' },
  { head: 'shards', kind: 'figure' },
  { head: 'version' },
];

/** The servers that share Redis or PostgreSQL; nothing where there is one alone that misses nobody. */
export function Fleet() {
  const { state } = useLive();
  const fleet = state?.fleet ?? null;
  if (fleet === null || (fleet.servers.length < 2 && fleet.notes.length === 0)) return null;
  return (
    <Panel title="Servers">
      {fleet.notes.map((note) => (
        <p key={note} class="reason" role="status">
          {note}
        </p>
      ))}
      <Table label="Servers of the fleet" columns={COLUMNS}>
        {fleet.servers.map((server) => (
          <ServerRow key={server.id} server={server} />
        ))}
      </Table>
      {!fleet.sessions_shared && (
        <p class="hint">
          Sessions are each server’s own: sharing them takes Redis and cache.secret.
        </p>
      )}
    </Panel>
  );
}

function ServerRow({ server }: { readonly server: FleetServer }) {
  const { name, role, models, load_line_mb: line, server_used_mb: used } = server;
  return (
    <Row
      cells={[
        <>
          <Name text={name} />
          {server.this && <small> this one</small>}
          {role !== 'all' && <small> {role}</small>}
        </>,
        <State key="state" server={server} />,
        <span key="memory" class="line-bar">
          <meter
            min={0}
            max={Math.max(line, 1)}
            value={Math.min(used, line)}
            aria-label={`Memory of ${name} against its load line`}
          />{' '}
          {mb(used)} <small>of {mb(line)}</small>
          {server.pressure !== 'normal' && <small> {server.pressure}</small>}
        </span>,
        mb(server.private_mb),
        <span key="models" title={models.join(', ')}>
          {count(models.length)}
        </span>,
        `${count(server.workers_ready)}/${count(server.workers)}`,
        count(server.sessions),
        count(server.users),
        count(server.shards),
        server.version,
      ]}
    />
  );
}

function State({ server }: { readonly server: FleetServer }) {
  const { state, silent_s: silent, reason } = server;
  if (silent > 0) {
    return <span class="state state-broken">silent for {span(silent)}</span>;
  }
  const title = reason === null ? {} : { title: reason };
  return (
    <span class={`state state-${state === 'ready' ? 'on' : 'off'}`} {...title}>
      {state}
    </span>
  );
}
