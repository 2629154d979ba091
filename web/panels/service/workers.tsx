import { api } from '../../data/api.js';
import { count, mb, span } from '../../data/format.js';
import { useAction } from '../../data/use-action.js';
import { useLive } from '../../data/use-live.js';
import type { WorkerView } from '../../data/wire.js';
import { FailureMessage } from '../../ui/messages.js';
import { Names } from '../../ui/name.js';
import { Panel } from '../../ui/panel.js';
import { type Column, Row, Table } from '../../ui/table.js';

const COLUMNS: readonly Column[] = [
  { head: 'worker' },
  { head: 'state' },
  { head: 'age', kind: 'figure' },
  { head: 'users', kind: 'figure' },
  { head: 'private, MB', kind: 'figure' },
  { head: 'models', kind: 'names' },
  { head: 'change', kind: 'action' },
];
const ALL = 'all workers';
const MODELS_SHOWN = 3;

/** The worker processes, each with what it holds, and their recycling. */
export function Workers() {
  const { state } = useLive();
  const action = useAction();
  const { running, run } = action;
  return (
    <Panel
      title="Workers"
      aside={
        <button
          type="button"
          disabled={running !== undefined}
          onClick={() => run(ALL, () => api.recycleAll())}
        >
          {running === ALL ? 'Recycling …' : 'Recycle all'}
        </button>
      }
    >
      <FailureMessage {...action} />
      <Table label="Worker processes" columns={COLUMNS}>
        {(state?.workers ?? []).map((worker) => (
          <WorkerRow
            key={worker.id}
            worker={worker}
            running={running}
            recycle={() => run(worker.id, () => api.recycleWorker(worker.id))}
          />
        ))}
      </Table>
    </Panel>
  );
}

function WorkerRow({
  worker,
  running,
  recycle,
}: {
  readonly worker: WorkerView;
  readonly running: string | undefined;
  readonly recycle: () => void;
}) {
  const { id, state, busy, models } = worker;
  const isReady = state === 'ready';
  return (
    <Row
      cells={[
        id,
        <span key="state" class={`state state-${isReady ? 'on' : state}`}>
          {isReady && busy ? 'busy' : state}
        </span>,
        span(worker.age_s),
        count(worker.users_since_recycle),
        mb(worker.private_mb),
        models.length === 0 ? 'none' : <Names key="models" names={models} shown={MODELS_SHOWN} />,
        <button
          key="recycle"
          type="button"
          disabled={running !== undefined || !isReady}
          aria-label={`Recycle ${id}`}
          onClick={recycle}
        >
          {running === id ? 'wait …' : 'recycle'}
        </button>,
      ]}
    />
  );
}
