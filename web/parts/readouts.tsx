import { count, mb } from '../data/format.js';
import { useLive } from '../data/use-live.js';

/** The few figures that one looks for first. */
export function Readouts() {
  const { state } = useLive();
  if (state === undefined) return null;
  const { processes, users_since_recycle: users, recycle_after_users: after } = state;
  const privateMb = processes.reduce((sum, of) => sum + of.private_mb, 0);
  const sharedMb = processes.reduce((sum, of) => sum + of.shared_mb, 0);
  return (
    <section aria-label="Figures">
      <dl class="readouts">
        <div>
          <dt>Plimsoll, private</dt>
          <dd>
            {mb(privateMb)} <small>MB</small>
          </dd>
        </div>
        <div>
          <dt>and shared</dt>
          <dd>
            {mb(sharedMb)} <small>MB</small>
          </dd>
        </div>
        <div>
          <dt>Open sessions</dt>
          <dd>{count(state.sessions.length)}</dd>
        </div>
        <div>
          <dt>Inputs waiting</dt>
          <dd>{count(state.waiting_inputs)}</dd>
        </div>
        <div class="readout-recycle">
          <dt>Users since the last recycle</dt>
          <dd>
            {count(users)} <small>of {count(after)}</small>
            <progress
              max={after}
              value={Math.min(users, after)}
              aria-label="Users until the recycle"
            />
          </dd>
        </div>
      </dl>
    </section>
  );
}
