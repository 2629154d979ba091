import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { api } from '../../data/api.js';
import { mb, plural, words } from '../../data/format.js';
import { type Failure, failureFrom } from '../../data/use-action.js';
import type { ModelOfState, Verdict } from '../../data/wire.js';
import { Facts } from '../../ui/facts.js';
import { Name } from '../../ui/name.js';
import { VerdictView } from '../../ui/verdict.js';

/** What a model's row has no room for: why it is broken, where it is loaded, all its labels. */
export function ModelDetails({ model }: { readonly model: ModelOfState }) {
  const { state, task, reason, workers, source_mb: sourceMb } = model;
  if (state === 'broken') return <p class="reason">{reason ?? 'The server gives no reason.'}</p>;
  const holders = workers.filter(({ state }) => state !== 'unloaded');
  const held = holders.map(({ worker, state }) => `${state} in ${worker}`).join(', ');
  return (
    <div class="row-details">
      <Facts
        facts={[
          ...(task === null ? [] : [['task', words(task)] as const]),
          ...(sourceMb === null ? [] : [['files', `${mb(sourceMb)} MB`] as const]),
          ...(model.form === null
            ? []
            : [['form', `${model.form} (${model.form_reason ?? ''})`] as const]),
          ['loaded', held === '' ? 'in no worker' : held],
        ]}
      />
      {model.form !== null && <FormsTried model={model} />}
      {model.label_count > 0 && <Labels model={model} />}
    </div>
  );
}

/** The state has the form that serves alone; which others were tried is asked for when a model is looked at. */
function FormsTried({
  model: { id, form, form_reason: reason },
}: {
  readonly model: ModelOfState;
}) {
  const [verdict, setVerdict] = useState<Verdict | null>(null);
  const [failure, setFailure] = useState<Failure | undefined>(undefined);
  useEffect(() => {
    setFailure(undefined);
    let isGone = false;
    api
      .model(id)
      .then((detail) => isGone || setVerdict(detail.verdict))
      .catch((error: unknown) => isGone || setFailure(failureFrom(error)));
    return () => {
      isGone = true;
    };
  }, [id, form, reason]);
  return (
    <>
      {verdict !== null && <h3>Forms that were tried</h3>}
      {verdict !== null && <VerdictView verdict={verdict} />}
      {failure !== undefined && (
        <p class="reason">The forms that were tried cannot be shown: {failure.message}</p>
      )}
    </>
  );
}

/** A model may have thousands of labels: the state has the first few, and all of them are asked for when they are looked at. */
function Labels({ model }: { readonly model: ModelOfState }) {
  const { id, labels: first, label_count: labelCount } = model;
  const [all, setAll] = useState<readonly string[] | undefined>(undefined);
  const [failure, setFailure] = useState<Failure | undefined>(undefined);
  useEffect(() => {
    setAll(undefined);
    setFailure(undefined);
    if (first.length === labelCount) return undefined;
    let isGone = false;
    api
      .model(id)
      .then(({ labels }) => isGone || setAll(labels))
      .catch((error: unknown) => isGone || setFailure(failureFrom(error)));
    return () => {
      isGone = true;
    };
  }, [id, labelCount]);
  const labels = all ?? first;
  const known = useRef(labels);
  if (!isSame(known.current, labels)) known.current = labels;
  // Drawn once, not with each state.
  return useMemo(
    () => (
      <>
        <h3>{plural(labelCount, 'label')}</h3>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached with the keyboard */}
        <section class="labels" aria-label={`Labels of ${id}`} tabIndex={0}>
          <ol class="name-list">
            {labels.map((label, index) => (
              <li key={index}>
                <Name text={label} />
              </li>
            ))}
          </ol>
        </section>
        {failure !== undefined && (
          <p class="reason">The other labels cannot be shown: {failure.message}</p>
        )}
      </>
    ),
    [known.current, labelCount, failure],
  );
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((label, index) => label === b[index]);
}
