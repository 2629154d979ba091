import { Fragment } from 'preact';

/** Separators in model ids and labels, after which a line may break. */
const SEPARATORS = /(?<=[/_.:-])/;

/**
 * A name that somebody else chose: of a model, a label, a pool. It may be long, without blanks, and
 * written from right to left; `bdi` keeps it from reordering the text around it.
 */
export function Name({ text }: { readonly text: string }) {
  return (
    <bdi class="name">
      {text.split(SEPARATORS).map((part, index) => (
        <Fragment key={index}>
          {index > 0 && <wbr />}
          {part}
        </Fragment>
      ))}
    </bdi>
  );
}

/** Several names; all but the first few are behind a button. */
export function Names({ names, shown }: { readonly names: readonly string[]; shown: number }) {
  const hidden = names.length - shown;
  // A list of one more is as short as the button.
  if (hidden <= 1) return <List names={names} />;
  return (
    <>
      <List names={names.slice(0, shown)} />
      <details class="more">
        <summary>{hidden} more</summary>
        <List names={names.slice(shown)} />
      </details>
    </>
  );
}

function List({ names }: { readonly names: readonly string[] }) {
  return (
    <ul class="name-list">
      {names.map((name) => (
        <li key={name}>
          <Name text={name} />
        </li>
      ))}
    </ul>
  );
}
