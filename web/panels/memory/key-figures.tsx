import type { ComponentChildren } from 'preact';
import { count, mb } from '../../data/format.js';
import { useLive } from '../../data/use-live.js';

/** The few figures that people look for first. */
export function KeyFigures() {
  const { state } = useLive();
  if (state === undefined) return null;
  const { processes, users_since_recycle: users, recycle_after_users: after } = state;
  const privateMb = processes.reduce((sum, of) => sum + of.private_mb, 0);
  const sharedMb = processes.reduce((sum, of) => sum + of.shared_mb, 0);
  return (
    <section aria-label="Figures">
      <dl class="key-figures">
        <Figure name="Plimsoll, private">
          {mb(privateMb)} <small>MB</small>
        </Figure>
        <Figure name="and shared">
          {mb(sharedMb)} <small>MB</small>
        </Figure>
        <Figure name="Open sessions">{count(state.sessions.length)}</Figure>
        <Figure name="Inputs waiting">{count(state.waiting_inputs)}</Figure>
        <Figure name="Users since the last recycle" wide>
          {count(users)} <small>of {count(after)}</small>
          <progress
            max={after}
            value={Math.min(users, after)}
            aria-label="Users until the recycle"
          />
        </Figure>
      </dl>
    </section>
  );
}

function Figure({
  name,
  wide = false,
  children,
}: {
  readonly name: string;
  readonly wide?: boolean;
  readonly children: ComponentChildren;
}) {
  return (
    <div class={wide ? 'key-figure-wide' : undefined}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
