import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { currentKey, saveWithKey } from './data/key.js';
import { useLive } from './data/use-live.js';
import { FetchModel } from './panels/actions/fetch-model.js';
import { Proofs } from './panels/actions/proofs.js';
import { TryIt } from './panels/actions/try-it.js';
import { Jobs } from './panels/jobs/jobs.js';
import { Events } from './panels/memory/events.js';
import { KeyFigures } from './panels/memory/key-figures.js';
import { LoadLineGauge } from './panels/memory/load-line-gauge.js';
import { MemoryChart } from './panels/memory/memory-chart.js';
import { Processes } from './panels/memory/processes.js';
import { CacheAndPools } from './panels/service/cache-and-pools.js';
import { Fleet } from './panels/service/fleet.js';
import { Models } from './panels/service/models.js';
import { SessionPage } from './panels/service/session-page.js';
import { Sessions } from './panels/service/sessions.js';
import { Workers } from './panels/service/workers.js';
import { routeOf } from './route.js';
import { ConnectionBanner } from './ui/connection-banner.js';
import { Header } from './ui/header.js';
import { KeyForm } from './ui/key-form.js';

/** The overview's blocks. `layout.css` places them in one, two or three columns; a panel is one entry here. */
const BLOCKS: readonly { readonly name: string; readonly panels: readonly ComponentType[] }[] = [
  { name: 'chart', panels: [MemoryChart] },
  { name: 'beside-chart', panels: [Processes, Events] },
  { name: 'tables', panels: [Jobs, Sessions, Fleet, Models, Workers] },
  { name: 'side', panels: [TryIt, FetchModel, Proofs, CacheAndPools] },
];

export function App() {
  const route = useRoute();
  const live = useLive();
  const { connection, state } = live;
  if (connection.state === 'locked') return <KeyForm reason={connection.reason} />;
  return (
    <>
      <a class="skip" href="#main">
        Skip to the memory chart
      </a>
      <ConnectionBanner />
      <Header />
      <div class="dashboard" data-connection={connection.state}>
        <LoadLineGauge />
        <KeyFigures />
        {route.view === 'overview' ? <Overview /> : <SessionPage id={route.id} key={route.id} />}
      </div>
      <footer class="foot">
        <p>
          Plimsoll {state?.version}. MB are 2<sup>20</sup> bytes. <a href="docs">API</a>{' '}
          <a href="metrics" onClick={(event) => saveWithKey(event, 'metrics', 'metrics.txt')}>
            Metrics
          </a>{' '}
          <a href="licences.txt">Licences</a>
          {currentKey() !== '' && (
            <>
              {' '}
              <button type="button" onClick={() => live.useKey('')}>
                Forget the key
              </button>
            </>
          )}
        </p>
      </footer>
    </>
  );
}

function Overview() {
  return (
    <main id="main" class="grid" tabIndex={-1}>
      {BLOCKS.map(({ name, panels }) => (
        <div key={name} class={`block block-${name}`}>
          {panels.map((Panel, index) => (
            <Panel key={index} />
          ))}
        </div>
      ))}
    </main>
  );
}

function useRoute() {
  const [route, setRoute] = useState(() => routeOf(location.hash));
  useEffect(() => {
    const update = () => setRoute(routeOf(location.hash));
    addEventListener('hashchange', update);
    return () => removeEventListener('hashchange', update);
  }, []);
  return route;
}
