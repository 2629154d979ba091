import { useEffect, useState } from 'preact/hooks';
import { api } from '../../data/api.js';
import { clock, plural } from '../../data/format.js';
import { saveWithKey } from '../../data/key.js';
import { useAction } from '../../data/use-action.js';
import { useLive } from '../../data/use-live.js';
import type { Proof } from '../../data/wire.js';
import { FailureMessage } from '../../ui/messages.js';
import { Panel } from '../../ui/panel.js';

const RUNNING_POLL_MS = 1500;
const IDLE_POLL_MS = 15_000;
const SHOWN = 5;
const VERDICTS: Readonly<Record<Proof['state'], string>> = {
  running: 'running',
  passed: 'passed',
  failed: 'failed',
  broken: 'no verdict',
};

/** The load test that judges this server, and its reports. */
export function Proofs() {
  const { state } = useLive();
  const { proofs, refresh } = useProofs();
  const action = useAction();
  if (proofs === undefined) return null;
  const current = proofs.find((proof) => proof.state === 'running');
  const ended = proofs.filter((proof) => proof.state !== 'running');
  const start = () => action.run('start', async () => refresh(await api.startProof()));
  return (
    <Panel
      title="Proof"
      aside={
        <button
          type="button"
          disabled={action.running !== undefined || current !== undefined}
          onClick={start}
        >
          {current === undefined ? 'Start a proof' : 'A proof is running'}
        </button>
      }
    >
      <p class="hint">
        Five sessions of eight users against this server, then a report with a verdict and the
        measured figures.
      </p>
      <FailureMessage {...action} />
      {current !== undefined && <Progress proof={current} />}
      {ended.length === 0 && current === undefined && (
        <p class="none">No proof has been run from here.</p>
      )}
      <ul class="proofs">
        {ended.slice(0, SHOWN).map((proof) => (
          <EndedProof key={proof.id} proof={proof} now={state?.at} />
        ))}
      </ul>
    </Panel>
  );
}

function Progress({ proof }: { readonly proof: Proof }) {
  const { sessions_done: done, sessions_total: total } = proof;
  return (
    <p class="proof-progress" role="status">
      <progress max={Math.max(1, total)} value={done} aria-label="Sessions of the proof" />
      {done} of {plural(total, 'session')}
    </p>
  );
}

function EndedProof({ proof, now }: { readonly proof: Proof; readonly now: string | undefined }) {
  const { state, reason } = proof;
  const address = proof.report_url ?? '';
  return (
    <li>
      <span class={`verdict verdict-${state}`}>{VERDICTS[state]}</span>
      <span>
        {proof.profile}, {clock(proof.started_at, now)}
      </span>
      {proof.report_url !== null && (
        <a
          href={proof.report_url}
          target="_blank"
          rel="noreferrer"
          onClick={(event) => saveWithKey(event, address, `proof-${proof.id}.html`)}
        >
          Open the report<span class="visually-hidden"> in a new tab</span>
        </a>
      )}
      {reason && <p class="reason">{reason}</p>}
    </li>
  );
}

/** Polls the proofs; `undefined` where the server offers none. */
function useProofs() {
  const { connection } = useLive();
  const isLive = connection.state === 'live';
  const [proofs, setProofs] = useState<readonly Proof[] | undefined>(undefined);
  const [request, refresh] = useState<unknown>(undefined);
  const isRunning = proofs?.some((proof) => proof.state === 'running') ?? false;
  useEffect(() => {
    if (!isLive) return undefined;
    let isCurrent = true;
    const poll = () => {
      // A lost connection is shown by the banner; the last known list stays.
      void api
        .proofs()
        .then((found) => {
          if (!isCurrent) return;
          setProofs(found?.toSorted(newestFirst));
          // A server without proofs gets none while it runs.
          if (found === undefined) clearInterval(timer);
        })
        .catch(() => undefined);
    };
    const timer = setInterval(poll, isRunning ? RUNNING_POLL_MS : IDLE_POLL_MS);
    poll();
    return () => {
      isCurrent = false;
      clearInterval(timer);
    };
  }, [isLive, isRunning, request]);
  return { proofs, refresh };
}

function newestFirst(a: Proof, b: Proof): number {
  return Date.parse(b.started_at) - Date.parse(a.started_at);
}
