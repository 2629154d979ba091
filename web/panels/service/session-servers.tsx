import { clock, count, mb, ms } from '../../data/format.js';
import type { SessionFleet } from '../../data/wire.js';
import { Name } from '../../ui/name.js';
import { Panel } from '../../ui/panel.js';
import { type Column, Row, Table } from '../../ui/table.js';

const COLUMNS: readonly Column[] = [
  { head: 'server' },
  { head: 'state' },
  { head: 'joined' },
  { head: 'users', kind: 'figure' },
  { head: 'requests', kind: 'figure' },
  { head: 'p99', kind: 'figure' },
  { head: 'private before, MB', kind: 'figure' },
  { head: 'after, MB', kind: 'figure' },
  { head: 'freed, MB', kind: 'figure' },
];

/** What each server did in a session that they share, and what its cleanup there freed. */
export function SessionServers({ fleet }: { readonly fleet: SessionFleet }) {
  const { reason, over_admitted: over, servers } = fleet;
  return (
    <Panel title="Servers">
      {reason !== null && (
        <p class="reason">
          Redis does not answer: this is what this server knows of the session. ({reason})
        </p>
      )}
      {over > 0 && (
        <p class="reason">
          {count(over)} more users than it may have were let in while Redis did not answer.
        </p>
      )}
      <Table label="Servers of the session" columns={COLUMNS}>
        {servers.map((part) => (
          <Row
            key={`${part.server} ${part.joined_at}`}
            cells={[
              <Name key="name" text={part.name} />,
              part.end_cause === null ? part.state : `${part.state}: ${part.end_cause}`,
              clock(part.joined_at),
              count(part.users),
              count(part.requests),
              ms(part.p99_ms),
              mb(part.cleanup?.before.private_mb ?? null),
              mb(part.cleanup?.after.private_mb ?? null),
              mb(part.cleanup?.freed_private_mb ?? null),
            ]}
          />
        ))}
      </Table>
    </Panel>
  );
}
