import { useState } from 'preact/hooks';
import { api } from '../../data/api.js';
import { count, mb, ms, NOTHING, plural, span, words } from '../../data/format.js';
import { useAction } from '../../data/use-action.js';
import { useLive } from '../../data/use-live.js';
import type { ModelOfState } from '../../data/wire.js';
import { FailureMessage } from '../../ui/messages.js';
import { Name } from '../../ui/name.js';
import { Panel } from '../../ui/panel.js';
import { type Column, Row, Table } from '../../ui/table.js';
import { ModelDetails } from './model-details.js';

const COLUMNS: readonly Column[] = [
  { head: 'model' },
  { head: 'state' },
  { head: 'private, MB', kind: 'figure' },
  { head: 'mapped, MB', kind: 'figure' },
  { head: 'opens in', kind: 'figure' },
  { head: 'last used', kind: 'figure' },
  { head: 'change', kind: 'action' },
];
/** A longer list begins folded, and can be searched. */
const FOLDED = 12;
/** Rows that a page can still draw each second; further models are found by the search. */
const MAX_ROWS = 200;

/** The model repository: state and memory of each model, with load and unload. */
export function Models() {
  const { state } = useLive();
  const action = useAction();
  const [isAll, showAll] = useState(false);
  const [search, setSearch] = useState('');
  const models = state?.models ?? [];
  const wanted = search.trim().toLowerCase();
  const found = models.filter(({ id }) => id.toLowerCase().includes(wanted));
  const shown = found.slice(0, isAll ? MAX_ROWS : FOLDED);
  return (
    <Panel title="Models">
      <FailureMessage {...action} />
      {models.length > FOLDED && (
        <label class="search">
          <span>Find a model</span>
          <input
            type="search"
            value={search}
            onInput={({ currentTarget }) => setSearch(currentTarget.value)}
          />
        </label>
      )}
      {models.length === 0 && <p class="none">There is no model in the repository.</p>}
      {models.length > 0 && found.length === 0 && (
        <p class="none">No model has this in its name.</p>
      )}
      {shown.length > 0 && (
        <Table label="Models in the repository" columns={COLUMNS}>
          {shown.map((model) => (
            <ModelRow key={model.id} model={model} now={state?.at} action={action} />
          ))}
        </Table>
      )}
      {found.length > FOLDED && (
        <button type="button" class="show-all" onClick={() => showAll(!isAll)}>
          {isAll
            ? `Show the first ${FOLDED}`
            : `Show all ${count(Math.min(found.length, MAX_ROWS))}`}
        </button>
      )}
      {isAll && found.length > MAX_ROWS && (
        <p class="none">
          {plural(found.length - MAX_ROWS, 'model')} further down the list: search to find one.
        </p>
      )}
    </Panel>
  );
}

function ModelRow({
  model,
  now,
  action: { running, run },
}: {
  readonly model: ModelOfState;
  readonly now: string | undefined;
  readonly action: ReturnType<typeof useAction>;
}) {
  const { id, state, last_used_at: usedAt } = model;
  const [opened, setOpened] = useState<boolean | undefined>(undefined);
  // Why a model cannot be used is shown without being asked for.
  const isOpen = opened ?? state === 'broken';
  const isLoaded = state === 'loaded';
  const usedMsAgo =
    usedAt === null || now === undefined ? undefined : Date.parse(now) - Date.parse(usedAt);
  const act = () => run(id, () => (isLoaded ? api.unloadModel(id) : api.loadModel(id)));
  return (
    <Row
      cells={[
        <button
          key="name"
          type="button"
          class="row-toggle"
          aria-expanded={isOpen}
          onClick={() => setOpened(!isOpen)}
        >
          <Name text={id} />
        </button>,
        <span key="state" class={`state state-${isLoaded ? 'on' : state}`}>
          {stateText(model)}
        </span>,
        mb(model.private_mb),
        mb(model.mapped_mb),
        ms(model.load_ms),
        usedMsAgo === undefined ? NOTHING : `${span(usedMsAgo / 1000)} ago`,
        state !== 'broken' && (
          <button
            key="act"
            type="button"
            disabled={running !== undefined}
            aria-label={`${isLoaded ? 'Unload' : 'Load'} ${id}`}
            onClick={act}
          >
            {running === id ? 'wait …' : isLoaded ? 'unload' : 'load'}
          </button>
        ),
      ]}
      below={isOpen && <ModelDetails model={model} />}
    />
  );
}

/** The gear where all workers agree, otherwise how many hold the model in which gear. */
function stateText({ state, workers }: ModelOfState): string {
  if (state !== 'loaded') return words(state);
  const inGear = (gear: string) => workers.filter((of) => of.state === gear).length;
  const [hot, cold] = [inGear('hot'), inGear('cold')];
  if (hot > 0 && cold > 0) return `hot in ${hot}, cold in ${cold}`;
  return hot > 0 ? 'hot' : 'cold';
}
