import { useId, useState } from 'preact/hooks';
import { api } from '../../data/api.js';
import { mb, span } from '../../data/format.js';
import { useAction } from '../../data/use-action.js';
import { useLive } from '../../data/use-live.js';
import type { Pull } from '../../data/wire.js';
import { FailureMessage } from '../../ui/messages.js';
import { Name } from '../../ui/name.js';
import { Panel } from '../../ui/panel.js';

/** Pulls that have ended and are still shown. */
const SHOWN = 3;
const STATES: Readonly<Record<Pull['state'], string>> = {
  waiting: 'waits for its turn',
  running: 'is being fetched',
  preparing: 'is being prepared',
  done: 'is served',
  failed: 'failed',
  cancelled: 'cancelled',
};

/** Fetches a model from the hub; shown only where the server allows it. */
export function FetchModel() {
  const { state } = useLive();
  const action = useAction();
  const [model, setModel] = useState('');
  const [id, hintId] = [useId(), useId()];
  if (state?.pull_allowed !== true) return null;
  const open = state.pulls.filter(isOpen);
  const ended = state.pulls.filter((pull) => !isOpen(pull)).slice(0, SHOWN);
  const wanted = model.trim();
  const submit = () => {
    if (wanted === '') return;
    action.run('pull', async () => {
      await api.pull(wanted);
      setModel('');
    });
  };
  return (
    <Panel title="Fetch a model">
      <form
        class="fetch"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <label for={id}>A model of the hub</label>
        <input
          id={id}
          type="text"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          maxLength={400}
          aria-describedby={hintId}
          value={model}
          onInput={({ currentTarget }) => {
            setModel(currentTarget.value);
            action.dismiss();
          }}
        />
        <button type="submit" class="main" disabled={action.running === 'pull' || wanted === ''}>
          {action.running === 'pull' ? 'wait …' : 'Fetch'}
        </button>
        <p class="hint" id={hintId}>
          org/name, or org/name@revision
        </p>
      </form>
      <FailureMessage {...action} />
      <Announcement pull={state.pulls[0]} />
      <ul class="pulls">
        {open.map((pull) => (
          <OpenPull key={pull.id} pull={pull} action={action} />
        ))}
        {ended.map((pull) => (
          <EndedPull key={pull.id} pull={pull} />
        ))}
      </ul>
    </Panel>
  );
}

/** Read out when the newest pull changes its state, not with each of its bytes. */
function Announcement({ pull }: { readonly pull: Pull | undefined }) {
  return (
    <p class="visually-hidden" role="status">
      {pull !== undefined && `${pull.model} ${STATES[pull.state]}`}
    </p>
  );
}

function OpenPull({
  pull,
  action: { running, run },
}: {
  readonly pull: Pull;
  readonly action: ReturnType<typeof useAction>;
}) {
  const { id, model, done_mb: done, total_mb: total } = pull;
  const known = total === null || total === 0 ? {} : { max: total, value: Math.min(done, total) };
  return (
    <li>
      <Name text={model} />
      {pull.state !== 'preparing' && (
        <button
          type="button"
          disabled={running !== undefined}
          aria-label={`Cancel ${model}`}
          onClick={() => run(id, () => api.cancelPull(id))}
        >
          cancel
        </button>
      )}
      {pull.state === 'running' && <progress {...known} aria-label={`Fetched of ${model}`} />}
      <span class="figures">{figuresOf(pull)}</span>
    </li>
  );
}

function EndedPull({ pull: { model, state, done_mb: done, reason } }: { readonly pull: Pull }) {
  return (
    <li>
      <Name text={model} />
      <span class={`verdict verdict-${state === 'done' ? 'passed' : state}`}>{STATES[state]}</span>
      {state === 'done' && <span class="figures">{mb(done)} MB</span>}
      {reason !== null && <p class="reason">{reason}</p>}
    </li>
  );
}

/** `120.0 of 440.1 MB, 38.2 MB/s, 8 s left` */
function figuresOf({ state, done_mb: done, total_mb, mb_per_s, seconds_left }: Pull): string {
  if (state !== 'running') return STATES[state];
  const of = total_mb === null ? `${mb(done)} MB` : `${mb(done)} of ${mb(total_mb)} MB`;
  const rate = mb_per_s === null ? '' : `, ${mb(mb_per_s)} MB/s`;
  const left = seconds_left === null ? '' : `, ${span(seconds_left)} left`;
  return of + rate + left;
}

function isOpen({ state }: Pull): boolean {
  return state === 'waiting' || state === 'running' || state === 'preparing';
}
