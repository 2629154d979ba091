import { useId, useState } from 'preact/hooks';
import { api } from '../../data/api.js';
import { plural, words } from '../../data/format.js';
import { useAction } from '../../data/use-action.js';
import { useLive } from '../../data/use-live.js';
import type { Answer, ModelOfState } from '../../data/wire.js';
import { FailureMessage } from '../../ui/messages.js';
import { Name } from '../../ui/name.js';
import { Panel } from '../../ui/panel.js';
import { Scores } from './scores.js';

const EXAMPLE = 'Subject: You have won\n\nClick here to claim your free prize now!';
/** Labels are named beside the model if together they have at most so many characters. */
const MAX_NAMED_CHARACTERS = 60;

interface Question {
  readonly model: string;
  readonly text: string;
}

/** Classifies a text, and shows the scores and how long each step took. */
export function TryIt() {
  const { state } = useLive();
  const action = useAction();
  const [text, setText] = useState(EXAMPLE);
  const [chosen, setChosen] = useState<string | undefined>(undefined);
  const [answered, setAnswered] = useState<(Question & { answer: Answer }) | undefined>(undefined);
  const [textId, modelId] = [useId(), useId()];
  const models = (state?.models ?? []).filter((model) => model.state !== 'broken');
  const model = models.find(({ id }) => id === chosen) ?? models.find(isBundled) ?? models[0];
  const isAsked = action.running !== undefined;
  const submit = () => {
    if (model === undefined || text.trim() === '') return;
    const question = { model: model.id, text };
    action.run('classify', async () => {
      setAnswered({ ...question, answer: await api.classify(question.model, question.text) });
    });
  };
  const edit = (change: () => void) => {
    change();
    action.dismiss();
  };
  // An answer to another text or of another model would be taken for the one to this.
  const answer =
    answered?.model === model?.id && answered?.text === text ? answered?.answer : undefined;
  return (
    <Panel title="Try it">
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
          dir="auto"
          value={text}
          onInput={({ currentTarget }) => edit(() => setText(currentTarget.value))}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) submit();
          }}
        />
        <div class="try-line">
          <label for={modelId}>Model</label>
          <select
            id={modelId}
            value={model?.id}
            onChange={({ currentTarget }) => edit(() => setChosen(currentTarget.value))}
          >
            {models.map(({ id }) => (
              <option key={id} value={id}>
                {id}
              </option>
            ))}
          </select>
          <button type="submit" class="main" disabled={isAsked || model === undefined}>
            {isAsked ? 'wait …' : 'Classify'}
          </button>
        </div>
        {model !== undefined && <ModelLine model={model} />}
      </form>
      <FailureMessage {...action} />
      <output class="scores" aria-live="polite">
        {answer !== undefined && <Scores answer={answer} />}
      </output>
    </Panel>
  );
}

/** The chosen model in full: a closed `select` cuts long names. */
function ModelLine({
  model: { id, task, labels, label_count: labelCount },
}: {
  readonly model: ModelOfState;
}) {
  const areNamed = labels.length === labelCount && labels.join('').length <= MAX_NAMED_CHARACTERS;
  return (
    <p class="hint">
      <Name text={id} />: {task === null ? '' : `${words(task)}, `}
      {!areNamed
        ? plural(labelCount, 'label')
        : labels.map((label, index) => (
            <>
              {index > 0 && ' or '}
              <Name key={label} text={label} />
            </>
          ))}
    </p>
  );
}

function isBundled({ id }: ModelOfState): boolean {
  return id === 'spam';
}
