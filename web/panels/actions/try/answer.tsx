import { useMemo } from 'preact/hooks';
import { ms } from '../../../data/format.js';
import type { Answered } from './ask.js';
import { Entities } from './entities.js';
import { Bars, Scores } from './scores.js';

/** A document is named by its beginning. */
const SHOWN_CHARACTERS = 200;

/** An answer in the form of its task, and the time of each step. */
export function AnswerOf({ answered }: { readonly answered: Answered }) {
  return (
    <>
      <Results answered={answered} />
      <Timing answer={answered.answer} />
    </>
  );
}

function Results({ answered }: { readonly answered: Answered }) {
  switch (answered.way) {
    case 'text':
    case 'pair':
    case 'labels':
      return <Scores scores={answered.answer.results[0] ?? []} />;
    case 'documents':
      return <Ranking {...answered} />;
    case 'entities':
      return <Entities text={answered.text} entities={answered.answer.results[0] ?? []} />;
  }
}

function Ranking({ answer, documents }: Extract<Answered, { readonly way: 'documents' }>) {
  const items = useMemo(
    () =>
      answer.results.map(({ index, score }) => ({
        label: beginningOf(documents[index] ?? ''),
        score,
      })),
    [answer, documents],
  );
  return <Bars label="Documents, the best first" kind="document" items={items} />;
}

function beginningOf(text: string): string {
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)} …` : text;
}

function Timing({
  answer: { timing, cached, truncated },
}: {
  readonly answer: Answered['answer'];
}) {
  const { queue_ms, tokenize_ms, run_ms, total_ms } = timing;
  const sources = [...new Set(cached)];
  const known = sources.filter((source) => source !== false);
  const isKnown = sources.length > 0 && known.length === sources.length;
  return (
    <p class="timing">
      {isKnown
        ? `from the cache (${known.join(', ')}), `
        : `queue ${ms(queue_ms)}, tokenize ${ms(tokenize_ms)}, run ${ms(run_ms)}, `}
      in all {ms(total_ms)}
      {truncated.includes(true) && '; the text was longer than the model takes and was cut'}
    </p>
  );
}
