import { api } from '../data/api.js';
import { mb, ms, NOTHING, span, words } from '../data/format.js';
import { useAction, useLive } from '../data/use-live.js';
import type { ModelView } from '../data/wire.js';
import { Failure, Panel, Table } from './panel.js';

const HEADS = ['model', 'state', '#private, MB', '#mapped, MB', '#opens in', 'last used', 'change'];
/** Rows that a page can still draw each second. */
const MAX_SHOWN = 200;

export function Models() {
  const { state } = useLive();
  const { running, failure, run } = useAction();
  const models = state?.models ?? [];
  return (
    <Panel title="Models" area="models">
      <Failure message={failure} />
      {models.length === 0 ? (
        <p class="none">There is no model in the repository.</p>
      ) : (
        <Table label="Models in the repository" heads={HEADS}>
          {models.slice(0, MAX_SHOWN).map((model) => (
            <Row
              key={model.id}
              model={model}
              now={state?.at}
              running={running}
              load={() => run(model.id, () => api.loadModel(model.id))}
              unload={() => run(model.id, () => api.unloadModel(model.id))}
            />
          ))}
        </Table>
      )}
      {models.length > MAX_SHOWN && <p class="none">and {models.length - MAX_SHOWN} more</p>}
    </Panel>
  );
}

function Row({
  model,
  now,
  running,
  load,
  unload,
}: {
  readonly model: ModelView;
  readonly now: string | undefined;
  readonly running: string | undefined;
  readonly load: () => void;
  readonly unload: () => void;
}) {
  const { id, state, last_used_at: used } = model;
  const isOpen = state === 'loaded';
  const age = used === null || now === undefined ? undefined : Date.parse(now) - Date.parse(used);
  return (
    <tr>
      <th scope="row">{id}</th>
      <td>
        <span class={`state state-${isOpen ? 'on' : state}`} title={model.reason}>
          {stateOf(model)}
        </span>
      </td>
      <td class="figure">{mb(model.private_mb)}</td>
      <td class="figure">{mb(model.mapped_mb)}</td>
      <td class="figure">{ms(model.load_ms)}</td>
      <td>{age === undefined ? NOTHING : `${span(age / 1000)} ago`}</td>
      <td>
        {state !== 'broken' && (
          <button
            type="button"
            disabled={running !== undefined}
            aria-label={`${isOpen ? 'Unload' : 'Load'} ${id}`}
            onClick={isOpen ? unload : load}
          >
            {running === id ? 'wait …' : isOpen ? 'unload' : 'load'}
          </button>
        )}
      </td>
    </tr>
  );
}

/** `cold` or `hot` where the workers that hold it agree, else how many hold it in which gear. */
function stateOf({ state, workers }: ModelView): string {
  if (state !== 'loaded') return words(state);
  const inGear = (gear: string) => workers.filter((of) => of.state === gear).length;
  const [hot, cold] = [inGear('hot'), inGear('cold')];
  if (hot > 0 && cold > 0) return `hot in ${hot}, cold in ${cold}`;
  return hot > 0 ? 'hot' : 'cold';
}
