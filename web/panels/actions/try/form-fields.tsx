import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';
import { type Fields, JOININGS, type Way } from './questions.js';

interface Props {
  readonly fields: Fields;
  readonly change: (changes: Partial<Fields>) => void;
  readonly submit: () => void;
}

/** What one way of asking needs. */
export function FormFields({ way, ...props }: Props & { readonly way: Way }) {
  switch (way) {
    case 'text':
      return <Area {...props} name="text" label="A text to classify" rows={5} />;
    case 'pair':
      return (
        <>
          <Area {...props} name="text" label="First text" rows={4} />
          <Area {...props} name="second" label="Second text" rows={3} />
        </>
      );
    case 'labels':
      return <OwnLabels {...props} />;
    case 'documents':
      return (
        <>
          <Line {...props} name="query" label="Query" />
          <Area {...props} name="documents" label="Documents, one a line" rows={5} />
        </>
      );
    case 'entities':
      return <EntityFields {...props} />;
  }
}

function OwnLabels({ fields, change, submit }: Props) {
  const id = useId();
  const props = { fields, change, submit };
  return (
    <>
      <Area {...props} name="text" label="A text to classify" rows={4} />
      <Area {...props} name="labels" label="Labels, one a line" rows={3} />
      <Line {...props} name="template" label="Hypothesis; {} stands for a label" />
      <div class="try-line">
        <input
          id={id}
          type="checkbox"
          checked={fields.isMulti}
          onChange={({ currentTarget }) => change({ isMulti: currentTarget.checked })}
        />
        <label for={id}>Several labels may hold</label>
      </div>
    </>
  );
}

function EntityFields({ fields, change, submit }: Props) {
  const id = useId();
  const options = JOININGS.map((joining) => (
    <option key={joining} value={joining}>
      {joining === 'none' ? 'none: every token' : joining}
    </option>
  ));
  return (
    <>
      <Area {...{ fields, change, submit }} name="text" label="A text with names" rows={5} />
      <div class="try-line">
        <label for={id}>Tokens are joined by</label>
        <select
          id={id}
          value={fields.joining}
          onChange={({ currentTarget: { value } }) => {
            change({ joining: JOININGS.find((joining) => joining === value) ?? 'simple' });
          }}
        >
          {options}
        </select>
      </div>
    </>
  );
}

/** Fields that hold text. */
type TextField = 'text' | 'second' | 'labels' | 'template' | 'query' | 'documents';

function Area({
  name,
  label,
  rows,
  fields,
  change,
  submit,
}: Props & { readonly name: TextField; readonly label: string; readonly rows: number }) {
  return (
    <Labelled label={label}>
      {(id) => (
        <textarea
          id={id}
          rows={rows}
          dir="auto"
          value={fields[name]}
          onInput={({ currentTarget }) => change({ [name]: currentTarget.value })}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) submit();
          }}
        />
      )}
    </Labelled>
  );
}

function Line({
  name,
  label,
  fields,
  change,
}: Props & { readonly name: TextField; readonly label: string }) {
  return (
    <Labelled label={label}>
      {(id) => (
        <input
          id={id}
          type="text"
          dir="auto"
          autocomplete="off"
          value={fields[name]}
          onInput={({ currentTarget }) => change({ [name]: currentTarget.value })}
        />
      )}
    </Labelled>
  );
}

function Labelled({
  label,
  children,
}: {
  readonly label: string;
  readonly children: (id: string) => ComponentChildren;
}) {
  const id = useId();
  return (
    <>
      <label for={id}>{label}</label>
      {children(id)}
    </>
  );
}
