import { useMemo, useState } from 'preact/hooks';
import { count, ms, percent } from '../../data/format.js';
import type { Answer } from '../../data/wire.js';
import { Name } from '../../ui/name.js';

/** A model may have thousands of labels; the rest are behind a button. */
const SHOWN = 8;

/** The scores of one text, the highest first, and the time of each step. */
export function Scores({ answer }: { readonly answer: Answer }) {
  const [isAll, showAll] = useState(false);
  const [scores = []] = answer.results;
  // Thousands of rows are drawn once, not with each state that arrives.
  const rows = useMemo(() => {
    const areShares = scores.every(({ score }) => score >= 0 && score <= 1);
    return (isAll ? scores : scores.slice(0, SHOWN)).map(({ label, score }, index) => (
      <li key={index} class="score">
        <Name text={label} />
        <strong>{areShares ? percent(score) : score.toPrecision(4)}</strong>
        {areShares && <meter min={0} max={1} value={score} aria-label={label} />}
      </li>
    ));
  }, [answer, isAll]);
  return (
    <>
      <ol
        class={isAll ? 'score-list score-list-all' : 'score-list'}
        aria-label="Scores"
        // A list that scrolls is reached with the keyboard.
        tabIndex={isAll ? 0 : undefined}
      >
        {rows}
      </ol>
      {scores.length > SHOWN && (
        <button type="button" class="show-all" onClick={() => showAll(!isAll)}>
          {isAll ? `Show the first ${SHOWN}` : `Show all ${count(scores.length)} labels`}
        </button>
      )}
      <Timing answer={answer} />
    </>
  );
}

function Timing({ answer: { timing, cached, truncated } }: { readonly answer: Answer }) {
  const { queue_ms, tokenize_ms, run_ms, total_ms } = timing;
  const [source] = cached;
  return (
    <p class="timing">
      {source === false
        ? `queue ${ms(queue_ms)}, tokenize ${ms(tokenize_ms)}, run ${ms(run_ms)}, `
        : `from the cache (${source}), `}
      in all {ms(total_ms)}
      {truncated[0] === true && '; the text was longer than the model takes and was cut'}
    </p>
  );
}
