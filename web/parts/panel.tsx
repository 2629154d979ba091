import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';

/** A part of the page under its title. */
export function Panel({
  title,
  area,
  children,
  aside,
}: {
  readonly title: string;
  /** Its place in the grid of the page. */
  readonly area: string;
  readonly children: ComponentChildren;
  /** Stands at the end of the title's line. */
  readonly aside?: ComponentChildren;
}) {
  const id = useId();
  return (
    <section class={`panel panel-${area}`} aria-labelledby={id}>
      <header class="panel-head">
        <h2 id={id}>{title}</h2>
        <span class="panel-line" aria-hidden="true" />
        {aside}
      </header>
      {children}
    </section>
  );
}

/** A table that scrolls in itself where it is wider than its panel. */
export function Table({
  label,
  heads,
  children,
}: {
  readonly label: string;
  /** Names of the columns; those of figures begin with `#`. */
  readonly heads: readonly string[];
  readonly children: ComponentChildren;
}) {
  return (
    <section
      class="table"
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached with the keyboard
      tabIndex={0}
    >
      <table>
        <thead>
          <tr>
            {heads.map((head) => (
              <th key={head} scope="col" class={head.startsWith('#') ? 'figure' : undefined}>
                {head.replace('#', '')}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  );
}

/** Why the last action failed. */
export function Failure({ message }: { readonly message: string | undefined }) {
  return message === undefined ? null : (
    <p class="failure" role="alert">
      {message}
    </p>
  );
}
