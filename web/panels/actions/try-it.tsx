import { useId, useState } from 'preact/hooks';
import { plural, words } from '../../data/format.js';
import { useAction } from '../../data/use-action.js';
import { useLive } from '../../data/use-live.js';
import type { ModelOfState } from '../../data/wire.js';
import { Choice } from '../../ui/choice.js';
import { FailureMessage } from '../../ui/messages.js';
import { Name } from '../../ui/name.js';
import { Panel } from '../../ui/panel.js';
import { AnswerOf } from './try/answer.js';
import { type Answered, ask } from './try/ask.js';
import { FormFields } from './try/form-fields.js';
import {
  EXAMPLES,
  type Fields,
  isComplete,
  isSame,
  type Question,
  WAYS,
  type Way,
  waysOf,
} from './try/questions.js';

/** Labels are named beside the model if together they have at most so many characters. */
const MAX_NAMED_CHARACTERS = 60;

/** Asks a model what it can be asked, and shows the answer and how long each step took. */
export function TryIt() {
  const { state } = useLive();
  const action = useAction();
  const [fields, setFields] = useState(EXAMPLES);
  const [chosen, setChosen] = useState<string | undefined>(undefined);
  const [wanted, setWanted] = useState<Way | undefined>(undefined);
  const [last, setLast] = useState<(Question & { answered: Answered }) | undefined>(undefined);
  const models = (state?.models ?? []).filter((model) => model.state !== 'broken');
  const model = models.find(({ id }) => id === chosen) ?? models.find(isBundled) ?? models[0];
  const ways = model === undefined ? [] : waysOf(model);
  const way = ways.find((one) => one === wanted) ?? ways[0] ?? 'text';
  const question = model === undefined ? undefined : { way, model: model.id, fields };
  const submit = () => {
    if (question === undefined || !isComplete(way, fields)) return;
    action.run('ask', async () => setLast({ ...question, answered: await ask(question) }));
  };
  const edit = (change: () => void) => {
    change();
    action.dismiss();
  };
  // The answer to another question would be taken for the one to this.
  const isAnswered = last !== undefined && question !== undefined && isSame(last, question);
  return (
    <Panel title="Try it">
      <form
        class="try"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <ModelChoice models={models} model={model} choose={(id) => edit(() => setChosen(id))} />
        {ways.length > 1 && (
          <Choice
            label="What is asked"
            options={ways.map((one) => ({ name: WAYS[one].name, value: one }))}
            value={way}
            choose={(one) => edit(() => setWanted(one))}
          />
        )}
        <FormFields
          key={way}
          {...{ way, fields, submit }}
          change={(changes: Partial<Fields>) => edit(() => setFields({ ...fields, ...changes }))}
        />
        <button
          type="submit"
          class="main"
          disabled={action.running !== undefined || model === undefined}
        >
          {action.running !== undefined ? 'wait …' : WAYS[way].verb}
        </button>
      </form>
      <FailureMessage {...action} />
      <output class="scores" aria-live="polite">
        {isAnswered && <AnswerOf answered={last.answered} />}
      </output>
    </Panel>
  );
}

function ModelChoice({
  models,
  model,
  choose,
}: {
  readonly models: readonly ModelOfState[];
  readonly model: ModelOfState | undefined;
  readonly choose: (id: string) => void;
}) {
  const id = useId();
  return (
    <>
      <div class="try-line">
        <label for={id}>Model</label>
        <select
          id={id}
          value={model?.id}
          onChange={({ currentTarget }) => choose(currentTarget.value)}
        >
          {models.map((one) => (
            <option key={one.id} value={one.id}>
              {one.id}
            </option>
          ))}
        </select>
      </div>
      {model !== undefined && <ModelLine model={model} />}
    </>
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
