import { useMemo, useRef } from 'preact/hooks';
import { mb, plural, words } from '../../data/format.js';
import type { ModelView } from '../../data/wire.js';
import { Facts } from '../../ui/facts.js';
import { Name } from '../../ui/name.js';

/** What a model's row has no room for: why it is broken, where it is loaded, all its labels. */
export function ModelDetails({ model }: { readonly model: ModelView }) {
  const { id, state, task, labels, reason, workers, source_mb: sourceMb } = model;
  if (state === 'broken') return <p class="reason">{reason ?? 'The server gives no reason.'}</p>;
  const holders = workers.filter(({ state }) => state !== 'unloaded');
  const held = holders.map(({ worker, state }) => `${state} in ${worker}`).join(', ');
  return (
    <div class="row-details">
      <Facts
        facts={[
          ...(task === null ? [] : [['task', words(task)] as const]),
          ...(sourceMb === null ? [] : [['files', `${mb(sourceMb)} MB`] as const]),
          ['loaded', held === '' ? 'in no worker' : held],
        ]}
      />
      {labels.length > 0 && <Labels id={id} labels={labels} />}
    </div>
  );
}

/** A model may have thousands of labels: they scroll, and are drawn once, not with each state. */
function Labels({ id, labels }: { readonly id: string; readonly labels: readonly string[] }) {
  const known = useRef(labels);
  if (!isSame(known.current, labels)) known.current = labels;
  const list = useMemo(
    () => (
      <>
        <h3>{plural(labels.length, 'label')}</h3>
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
      </>
    ),
    [known.current],
  );
  return list;
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((label, index) => label === b[index]);
}
