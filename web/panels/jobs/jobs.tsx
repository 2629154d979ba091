import { api } from '../../data/api.js';
import { plural, span } from '../../data/format.js';
import { type Action, useAction } from '../../data/use-action.js';
import { useLive } from '../../data/use-live.js';
import type { Job, State } from '../../data/wire.js';
import { FailureMessage } from '../../ui/messages.js';
import { Name } from '../../ui/name.js';
import { Panel } from '../../ui/panel.js';

const STATES: Readonly<Record<Job['state'], string>> = {
  waiting: 'waits',
  running: 'is running',
  finishing: 'writes its manifest',
  done: 'is done',
  failed: 'failed',
  cancelled: 'cancelled',
};

/** Failed shards of a job that are named. */
const SHOWN_FAILURES = 5;

/** Bulk jobs: open ones, then those that ended last; hidden where there are none. */
export function Jobs() {
  const { state } = useLive();
  const action = useAction();
  const jobs = state?.jobs ?? [];
  const [newest] = jobs;
  if (newest === undefined) return null;
  const more = moreText(state?.jobs_more);
  return (
    <Panel title="Jobs">
      <FailureMessage {...action} />
      <p class="visually-hidden" role="status">
        {`job ${newest.id} ${STATES[newest.state]}`}
      </p>
      <ul class="jobs">
        {jobs.map((job) => (
          <JobItem key={job.id} job={job} action={action} />
        ))}
      </ul>
      {more !== '' && <p class="none">{more}</p>}
    </Panel>
  );
}

function JobItem({ job, action }: { readonly job: Job; readonly action: Action }) {
  const { id, state, shards } = job;
  const isOpen = job.ended_at === null;
  const { input } = job.request;
  const first = typeof input === 'string' ? input : (input[0] ?? '');
  const canRetry = state === 'failed' || state === 'cancelled';
  const act = (what: 'cancel' | 'retry') => (
    <button
      type="button"
      disabled={action.running !== undefined}
      aria-label={`${what} job ${id}`}
      onClick={() => action.run(`${what} ${id}`, () => api.changeJob(id, what))}
    >
      {what}
    </button>
  );
  return (
    <li data-job={id}>
      <Name text={first.split('/').at(-1) || first} />
      <span class="job-model">{job.model ?? ''}</span>
      {isOpen ? (
        act('cancel')
      ) : (
        <span class={`verdict verdict-${state === 'done' ? 'passed' : state}`}>
          {STATES[state]}
        </span>
      )}
      {canRetry && act('retry')}
      <ShardBar job={job} />
      <span class="figures">{figuresOf(job)}</span>
      {job.machines.map(({ server, shards: running }) => (
        <span class="figures job-machine" key={server}>
          {server}: shard {running.join(', ')}
        </span>
      ))}
      {job.error !== null && <p class="reason">{job.error}</p>}
      {job.failures.slice(0, SHOWN_FAILURES).map(({ shard, reason, attempts }) => (
        <p class="reason" key={shard}>
          Shard {shard}, {attempts} attempts: {reason}
        </p>
      ))}
      {shards.failed > SHOWN_FAILURES && (
        <p class="reason">and {shards.failed - SHOWN_FAILURES} more</p>
      )}
    </li>
  );
}

/** Shards by their state, each with its part of the width. */
function ShardBar({ job: { id, shards, planned } }: { readonly job: Job }) {
  const { known, done, running, failed, waiting } = shards;
  const title = `${done} of ${known}${planned ? '' : ' or more'} shards are done, ${running} run, ${failed} failed`;
  return (
    <div class="shard-bar" role="img" aria-label={`Job ${id}: ${title}`} title={title}>
      {known === 0 && <span class="shard-waiting" style={{ flexGrow: 1 }} />}
      {(['done', 'running', 'failed', 'waiting'] as const).map((state) => {
        const count = { done, running, failed, waiting }[state];
        return (
          count > 0 && <span key={state} class={`shard-${state}`} style={{ flexGrow: count }} />
        );
      })}
    </div>
  );
}

/** `and 3 more open jobs, 12 ended ones` */
function moreText(more: State['jobs_more'] | undefined): string {
  if (more === undefined) return '';
  const parts = [
    ...(more.open > 0 ? [plural(more.open, 'open job')] : []),
    ...(more.ended > 0 ? [plural(more.ended, 'ended job')] : []),
  ];
  return parts.length === 0 ? '' : `and ${parts.join(' and ')} more`;
}

/** `12,000 of about 100,000 rows, 640 rows/s, 2 min left, 3 bad` */
function figuresOf({ rows, rows_per_second, seconds_left }: Job): string {
  const of = rows.expected === null ? '' : ` of about ${count(rows.expected)}`;
  const parts = [`${count(rows.done)}${of} rows`];
  if (rows_per_second !== null) parts.push(`${count(rows_per_second)} rows/s`);
  if (seconds_left !== null) parts.push(`${span(seconds_left)} left`);
  if (rows.bad > 0) parts.push(`${count(rows.bad)} bad`);
  return parts.join(', ');
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
