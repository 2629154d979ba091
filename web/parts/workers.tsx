import { api } from '../data/api.js';
import { count, mb, span } from '../data/format.js';
import { useAction, useLive } from '../data/use-live.js';
import type { WorkerView } from '../data/wire.js';
import { Failure, Panel, Table } from './panel.js';

const HEADS = ['worker', 'state', 'age', '#users', '#private, MB', 'models open', 'change'];
const ALL = 'all of them';

export function Workers() {
  const { state } = useLive();
  const { running, failure, run } = useAction();
  const workers = state?.workers ?? [];
  return (
    <Panel
      title="Workers"
      area="workers"
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
      <Failure message={failure} />
      <Table label="Worker processes" heads={HEADS}>
        {workers.map((worker) => (
          <Row
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

function Row({
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
    <tr>
      <th scope="row">{id}</th>
      <td>
        <span class={`state state-${isReady ? 'on' : state}`}>
          {isReady ? (busy ? 'busy' : 'ready') : state}
        </span>
      </td>
      <td>{span(worker.age_s)}</td>
      <td class="figure">{count(worker.users_since_recycle)}</td>
      <td class="figure">{mb(worker.private_mb)}</td>
      <td>{models.length === 0 ? 'none' : models.join(', ')}</td>
      <td>
        <button
          type="button"
          disabled={running !== undefined || !isReady}
          aria-label={`Recycle ${id}`}
          onClick={recycle}
        >
          {running === id ? 'wait …' : 'recycle'}
        </button>
      </td>
    </tr>
  );
}
