import { readFileSync } from 'node:fs';
import type { Api } from '../harness/api.js';
import {
  atLeast,
  atMost,
  type Benchmark,
  type Context,
  NotRunError,
  type Outcome,
  sizeOf,
} from '../harness/benchmark.js';
import { pause, type RunningLoad, startLoad, Tally } from '../harness/load.js';
import { cpuMs } from '../harness/machine/cpu-time.js';
import { bundledModel } from '../harness/models.js';
import { importScript } from '../harness/programs/test-servers.js';
import { startServer, UNCACHED } from '../harness/server.js';
import { median, rounded, spread } from '../harness/spread.js';
import { mailSource, realMails } from '../harness/users/mails.js';

const PAGES = 10;
const MOST_PERCENT = 5;
const SIZES = { full: { rounds: 4, ms: 8000 }, quick: { rounds: 1, ms: 5000 } };
/** A gentle load, so that pages have something to show: the same with and without them. */
const REQUEST_EVERY_MS = 100;
const REQUESTS_PER_SESSION = 20;
/** Until opened pages have drawn what they asked for, and closed ones are gone. */
const SETTLE_MS = 3000;

export const page: Benchmark = {
  name: 'page',
  about: `CPU time that ${PAGES} open pages in a real Chromium cost the server`,
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { progress } = context;
  const { rounds, ms } = sizeOf(context, SIZES);
  const browser = await startBrowser(context);
  const server = await startServer(context, { models: [bundledModel], settings: UNCACHED });
  const tally = new Tally();
  const load = gentleLoad(context, server.api, tally);
  const percents: Record<'without' | 'with' | 'browser', number[]> = {
    without: [],
    with: [],
    browser: [],
  };
  let live = Number.POSITIVE_INFINITY;
  for (let round = 1; round <= rounds; round += 1) {
    progress.at(`round ${round} of ${rounds}, no page`);
    await pause(SETTLE_MS);
    percents.without.push(await corePercent(ms, () => cpuMs(server.pid)));
    progress.at(`round ${round} of ${rounds}, ${PAGES} pages`);
    await browser.open(server.url, PAGES);
    await pause(SETTLE_MS);
    const before = browser.cpuMs(server.pid);
    percents.with.push(await corePercent(ms, () => cpuMs(server.pid)));
    percents.browser.push(((browser.cpuMs(server.pid) - before) / ms) * 100);
    live = Math.min(live, await browser.closeAll());
  }
  await load.stop();
  const costs = percents.with.map((value, round) => value - (percents.without[round] ?? 0));
  const cost = median(costs);
  return {
    headline: `${cost.toFixed(1)} % of a core (${median(percents.with).toFixed(1)} with them, ${median(percents.without).toFixed(1)} without)`,
    checks: [
      atMost(`CPU time for ${PAGES} pages, of one core`, rounded(cost, 2), MOST_PERCENT, '%'),
      atLeast('pages that were live', live, PAGES),
    ],
    facts: [
      { fact: `main process with ${PAGES} pages`, value: spread(percents.with, ' %') },
      { fact: 'main process without', value: spread(percents.without, ' %') },
      { fact: 'the difference, round by round', value: spread(costs, ' %') },
      { fact: 'Chromium itself, without a graphics card', value: spread(percents.browser, ' %') },
      ...tally.failureFacts,
    ],
    details: { pages: PAGES, window_ms: ms, percents, costs },
  };
}

/** Part of one core that was used during that time, in percent. */
async function corePercent(ms: number, used: () => number): Promise<number> {
  const [before, begun] = [used(), performance.now()];
  await pause(ms);
  return ((used() - before) / (performance.now() - begun)) * 100;
}

/** One request at a time, in sessions of some requests each. */
function gentleLoad(context: Context, api: Api, tally: Tally): RunningLoad {
  const next = mailSource(realMails());
  let [session, sent] = ['', 0];
  return startLoad(context, 1, async () => {
    if (sent === 0) session = await api.openSession();
    const [gap, model] = [pause(REQUEST_EVERY_MS), bundledModel.id];
    const body = { model, session, user: `user-${sent % 4}`, inputs: next() };
    const isAnswered = tally.take(await api.classify(body));
    await gap;
    sent = (sent + 1) % REQUESTS_PER_SESSION;
    if (sent === 0) await api.endSession(session);
    return isAnswered;
  });
}

type Script = typeof import('../../scripts/chromium.mjs');
type Chromium = Awaited<ReturnType<Script['startChromium']>>;

async function startBrowser(context: Context): Promise<OpenPages> {
  const { startChromium } = await importScript<Script>('chromium.mjs');
  const chromium = await startChromium().catch((error: unknown) => {
    throw new NotRunError(String(error));
  });
  context.defer(() => chromium.close());
  return new OpenPages(chromium.context);
}

class OpenPages {
  readonly #context: Chromium['context'];

  constructor(context: Chromium['context']) {
    this.#context = context;
  }

  /** Each page under its own host name: a browser opens six connections to one name at most. */
  async open(url: string, count: number): Promise<void> {
    const { port } = new URL(url);
    for (let number = 0; number < count; number += 1) {
      const opened = await this.#context.newPage();
      await opened.goto(`http://page${number}.localhost:${port}/`);
      await opened.locator('.connection-live').waitFor();
    }
  }

  /** @returns how many still got events */
  async closeAll(): Promise<number> {
    let live = 0;
    for (const opened of this.#context.pages()) {
      live += await opened.locator('.connection-live').count();
      await opened.close();
    }
    return live;
  }

  /** CPU time of the browser: of all processes below this one, except for the server's. */
  cpuMs(server: number): number {
    const all = descendantsOf(process.pid, server);
    return all.reduce((sum, pid) => sum + timeOf(pid), 0);
  }
}

function descendantsOf(pid: number, except: number): readonly number[] {
  const children = readOr(`/proc/${pid}/task/${pid}/children`)
    .split(' ')
    .filter((word) => word !== '')
    .map(Number)
    .filter((child) => child !== except);
  return children.flatMap((child) => [child, ...descendantsOf(child, except)]);
}

function timeOf(pid: number): number {
  try {
    return cpuMs(pid);
  } catch {
    return 0;
  }
}

/** A process can end while its files are read. */
function readOr(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
