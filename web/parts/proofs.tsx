import { useEffect, useState } from 'preact/hooks';
import { api } from '../data/api.js';
import { clock, plural } from '../data/format.js';
import { useAction, useLive } from '../data/use-live.js';
import type { Proof } from '../data/wire.js';
import { Failure, Panel } from './panel.js';

const RUNNING_LOOK_MS = 1500;
const IDLE_LOOK_MS = 15_000;
const SHOWN = 5;
const VERDICTS = { running: 'runs', passed: 'passed', failed: 'failed', broken: 'broke off' };

/** The load test that judges this server: started here, and its reports. */
export function Proofs() {
  const { state } = useLive();
  const { proofs, look } = useProofs();
  const { running, failure, run } = useAction();
  if (proofs === undefined) return null;
  const current = proofs.find((proof) => proof.state === 'running');
  return (
    <Panel
      title="Proof"
      area="proof"
      aside={
        <button
          type="button"
          disabled={running !== undefined || current !== undefined}
          onClick={() => run('start', async () => look(await api.startProof()))}
        >
          {current === undefined ? 'Start a proof' : 'A proof runs'}
        </button>
      }
    >
      <p class="hint">
        Five sessions of eight users against this server; then a report with a verdict, in which
        every number was measured.
      </p>
      <Failure message={failure} />
      {current !== undefined && (
        <p class="proof-progress" role="status">
          <progress
            max={Math.max(1, current.sessions_total)}
            value={current.sessions_done}
            aria-label="Sessions of the proof"
          />
          {current.sessions_done} of {plural(current.sessions_total, 'session')}
        </p>
      )}
      {proofs.length === 0 && <p class="none">No proof has been run from here.</p>}
      <ul class="proofs">
        {proofs.slice(0, SHOWN).map((proof) => (
          <Line key={proof.id} proof={proof} now={state?.at} />
        ))}
      </ul>
    </Panel>
  );
}

function Line({ proof, now }: { readonly proof: Proof; readonly now: string | undefined }) {
  return (
    <li>
      <span class={`verdict verdict-${proof.state}`}>{VERDICTS[proof.state]}</span>
      <span>
        {proof.profile}, {clock(proof.started_at, now)}
      </span>
      {proof.report_url !== null && (
        <a href={proof.report_url} target="_blank" rel="noreferrer">
          Open the report<span class="visually-hidden"> in a new tab</span>
        </a>
      )}
    </li>
  );
}

/** Undefined where the server offers none. */
function useProofs() {
  const { link } = useLive();
  const isLive = link.state === 'live';
  const [proofs, setProofs] = useState<readonly Proof[] | undefined>(undefined);
  const [asked, setAsked] = useState<unknown>(undefined);
  const isRunning = proofs?.some((proof) => proof.state === 'running') ?? false;
  useEffect(() => {
    if (!isLive) return undefined;
    let isWanted = true;
    const ask = () => {
      // That the server is away is said elsewhere; what was known stays.
      void api
        .proofs()
        .then((found) => {
          if (!isWanted) return;
          setProofs(found?.toSorted(newestFirst));
          // A server that offers none does not begin to.
          if (found === undefined) clearInterval(timer);
        })
        .catch(() => undefined);
    };
    const timer = setInterval(ask, isRunning ? RUNNING_LOOK_MS : IDLE_LOOK_MS);
    ask();
    return () => {
      isWanted = false;
      clearInterval(timer);
    };
  }, [isLive, isRunning, asked]);
  return { proofs, look: setAsked };
}

function newestFirst(a: Proof, b: Proof): number {
  return Date.parse(b.started_at) - Date.parse(a.started_at);
}
