import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';

/** A section of the page under its title. */
export function Panel({
  title,
  children,
  aside,
}: {
  readonly title: string;
  readonly children: ComponentChildren;
  /** Stands at the end of the title's line. */
  readonly aside?: ComponentChildren;
}) {
  const id = useId();
  return (
    <section class="panel" aria-labelledby={id}>
      <header class="panel-head">
        <h2 id={id}>{title}</h2>
        <span class="panel-line" aria-hidden="true" />
        {aside}
      </header>
      {children}
    </section>
  );
}
