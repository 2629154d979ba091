import { useEffect, useState } from 'preact/hooks';
import { useLive } from './data/use-live.js';
import { Header } from './parts/header.js';
import { Hull } from './parts/hull.js';
import { Log } from './parts/log.js';
import { MemoryChart } from './parts/memory-chart.js';
import { Models } from './parts/models.js';
import { Processes } from './parts/processes.js';
import { Proofs } from './parts/proofs.js';
import { Readouts } from './parts/readouts.js';
import { SessionPage } from './parts/session-page.js';
import { Sessions } from './parts/sessions.js';
import { Tiers } from './parts/tiers.js';
import { TryIt } from './parts/try-it.js';
import { Workers } from './parts/workers.js';

/** `#/sessions/ID` is a session's own page; everything else is the whole. */
const SESSION_ADDRESS = /^#\/sessions\/([^/]+)$/;

export function App() {
  const session = useSessionAddress();
  const { link, state } = useLive();
  return (
    <>
      <a class="skip" href="#main">
        Skip to the memory chart
      </a>
      <Header />
      <div class="deck" data-link={link.state}>
        <Hull />
        <Readouts />
        {session === undefined ? <Whole /> : <SessionPage id={session} key={session} />}
      </div>
      <footer class="foot">
        <p>
          Plimsoll {state?.version}. MB are 2<sup>20</sup> bytes. <a href="docs">Interface</a>{' '}
          <a href="metrics">Metrics</a> <a href="licences.txt">Licences</a>
        </p>
      </footer>
    </>
  );
}

function Whole() {
  return (
    <main id="main" class="grid" tabIndex={-1}>
      <MemoryChart />
      <div class="beside-chart">
        <Processes />
        <Log />
      </div>
      <div class="column-sessions">
        <Sessions />
      </div>
      <div class="column-machinery">
        <Workers />
        <Models />
        <Tiers />
      </div>
      <div class="column-rest">
        <TryIt />
        <Proofs />
      </div>
    </main>
  );
}

function useSessionAddress(): string | undefined {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const take = () => setHash(location.hash);
    addEventListener('hashchange', take);
    return () => removeEventListener('hashchange', take);
  }, []);
  const id = SESSION_ADDRESS.exec(hash)?.[1];
  return id === undefined ? undefined : decodeURIComponent(id);
}
