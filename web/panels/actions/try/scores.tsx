import { useMemo, useState } from 'preact/hooks';
import { count, percent } from '../../../data/format.js';
import type { LabelScore } from '../../../data/wire.js';
import { Name } from '../../../ui/name.js';

/** A model may have thousands of labels; the rest are behind a button. */
const SHOWN = 8;

/** Labels with bars, the highest score first. */
export function Scores({ scores }: { readonly scores: readonly LabelScore[] }) {
  return <Bars label="Scores" kind="label" items={scores} />;
}

/** A list of what has scores. Scores beyond 0 to 1 are raw outputs, which have no bar. */
export function Bars({
  label,
  kind,
  items,
}: {
  readonly label: string;
  /** What an item is called where there are many. */
  readonly kind: string;
  readonly items: readonly LabelScore[];
}) {
  const [isAll, showAll] = useState(false);
  // Thousands of rows are drawn once, not with each state that arrives.
  const rows = useMemo(() => {
    const areShares = items.every(({ score }) => score >= 0 && score <= 1);
    return (isAll ? items : items.slice(0, SHOWN)).map((item, index) => (
      <li key={index} class="score">
        <Name text={item.label} />
        <strong>{areShares ? percent(item.score) : item.score.toPrecision(4)}</strong>
        {areShares && <meter min={0} max={1} value={item.score} aria-label={item.label} />}
      </li>
    ));
  }, [items, isAll]);
  return (
    <>
      <ol
        class={isAll ? 'score-list score-list-all' : 'score-list'}
        aria-label={label}
        // A list that scrolls is reached with the keyboard.
        tabIndex={isAll ? 0 : undefined}
      >
        {rows}
      </ol>
      {items.length > SHOWN && (
        <button type="button" class="show-all" onClick={() => showAll(!isAll)}>
          {isAll ? `Show the first ${SHOWN}` : `Show all ${count(items.length)} ${kind}s`}
        </button>
      )}
    </>
  );
}
