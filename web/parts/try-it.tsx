import { useId, useState } from 'preact/hooks';
import { api } from '../data/api.js';
import { ms, percent } from '../data/format.js';
import { useAction, useLive } from '../data/use-live.js';
import type { Answer } from '../data/wire.js';
import { Failure, Panel } from './panel.js';

const EXAMPLE = 'Subject: You have won\n\nClick here to claim your free prize now!';
/** Scores that are shown; a model may have thousands of labels. */
const MAX_SCORES = 8;

/** A text is classified, and how long each part of that took. */
export function TryIt() {
  const { state } = useLive();
  const { running, failure, run } = useAction();
  const [text, setText] = useState(EXAMPLE);
  const [chosen, setChosen] = useState<string | undefined>(undefined);
  const [answer, setAnswer] = useState<Answer | undefined>(undefined);
  const [textId, modelId] = [useId(), useId()];
  const models = (state?.models ?? []).filter((model) => model.state !== 'broken');
  const model = chosen ?? models.find(({ id }) => id === 'spam')?.id ?? models[0]?.id;
  const submit = () => {
    if (model === undefined || text.trim() === '') return;
    run('classify', async () => setAnswer(await api.classify(model, text)));
  };
  return (
    <Panel title="Try it" area="try">
      <form
        class="try"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <label for={textId}>A text to classify</label>
        <textarea
          id={textId}
          rows={5}
          value={text}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) submit();
          }}
        />
        <div class="try-line">
          <label for={modelId}>Model</label>
          <select
            id={modelId}
            value={model}
            onChange={({ currentTarget }) => setChosen(currentTarget.value)}
          >
            {models.map(({ id }) => (
              <option key={id} value={id}>
                {id}
              </option>
            ))}
          </select>
          <button
            type="submit"
            class="main"
            disabled={running !== undefined || models.length === 0}
          >
            {running === undefined ? 'Classify' : 'wait …'}
          </button>
        </div>
      </form>
      <Failure message={failure} />
      <output class="scores" aria-live="polite">
        {answer !== undefined && <Scores answer={answer} />}
      </output>
    </Panel>
  );
}

function Scores({ answer }: { readonly answer: Answer }) {
  const [scores = []] = answer.results;
  const { queue_ms, tokenize_ms, run_ms, total_ms } = answer.timing;
  const [source] = answer.cached;
  return (
    <>
      {scores.slice(0, MAX_SCORES).map(({ label, score }) => (
        <p key={label} class="score">
          <span>{label}</span>
          <meter min={0} max={1} value={score} aria-label={label} />
          <strong>{percent(score)}</strong>
        </p>
      ))}
      <p class="timing">
        {source === false
          ? `queue ${ms(queue_ms)}, tokenize ${ms(tokenize_ms)}, run ${ms(run_ms)}, `
          : `known to the cache (${source}), `}
        in all {ms(total_ms)}
        {answer.truncated[0] === true && '; the text was too long for the model and was cut'}
      </p>
    </>
  );
}
