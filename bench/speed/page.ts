import { readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Api } from '../harness/api.js';
import {
  atLeast,
  atMost,
  type Benchmark,
  type Context,
  NotRunError,
  type Outcome,
} from '../harness/benchmark.js';
import { pause, Tally } from '../harness/load.js';
import { projectFolder } from '../harness/program.js';
import { startServer } from '../harness/server.js';
import { median, rounded, spread } from '../harness/spread.js';
import { cpuMs } from './cpu-time.js';
import { bundledModel, mailSource, realMails } from './mails.js';

const PAGES = 10;
const MOST_PERCENT = 5;
const FULL = { rounds: 4, ms: 8000 };
const QUICK = { rounds: 1, ms: 5000 };
/** A gentle load, so that there is something to show: the same with and without pages. */
const REQUEST_EVERY_MS = 100;
const REQUESTS_PER_SESSION = 20;
/** Until pages that were opened have drawn what they asked for, and those that were closed are gone. */
const SETTLE_MS = 3000;

/** Open pages cost the server next to nothing. */
export const page: Benchmark = {
  name: 'page',
  about: `CPU that ${PAGES} open pages in a real Chromium cost the server, against none, in turn`,
  run,
};

async function run(context: Context): Promise<Outcome> {
  const { progress, quick } = context;
  const { rounds, ms } = quick ? QUICK : FULL;
  const browser = await startBrowser(context);
  const settings = { 'cache.max_size': 0 };
  const server = await startServer(context, { models: [bundledModel], settings });
  const load = new GentleLoad(server.api);
  context.defer(() => load.stop());
  const percents: Record<'without' | 'with' | 'browser', number[]> = {
    without: [],
    with: [],
    browser: [],
  };
  let live = Number.POSITIVE_INFINITY;
  for (let round = 1; round <= rounds; round += 1) {
    progress.at(`round ${round} of ${rounds}, no page`);
    await pause(SETTLE_MS);
    percents.without.push(await share(ms, () => cpuMs(server.pid)));
    progress.at(`round ${round} of ${rounds}, ${PAGES} pages`);
    await browser.open(server.url, PAGES);
    await pause(SETTLE_MS);
    const before = browser.cpuMs(server.pid);
    percents.with.push(await share(ms, () => cpuMs(server.pid)));
    percents.browser.push(((browser.cpuMs(server.pid) - before) / ms) * 100);
    live = Math.min(live, await browser.closeAll());
  }
  await load.stop();
  const costs = percents.with.map((value, round) => value - (percents.without[round] ?? 0));
  return {
    checks: [
      atMost('CPU for ten pages, % of one core', rounded(median(costs), 2), MOST_PERCENT),
      atLeast('pages that were live', live, PAGES),
    ],
    facts: [
      { fact: `main process with ${PAGES} pages`, value: spread(percents.with, ' %') },
      { fact: 'main process without', value: spread(percents.without, ' %') },
      { fact: 'the difference, round by round', value: spread(costs, ' %') },
      { fact: 'Chromium itself, without a graphics card', value: spread(percents.browser, ' %') },
      ...load.tally.failureFacts,
    ],
    details: { pages: PAGES, window_ms: ms, percents, costs },
  };
}

/** Part of one core that was used meanwhile, in percent. */
async function share(ms: number, used: () => number): Promise<number> {
  const [before, begun] = [used(), performance.now()];
  await pause(ms);
  return ((used() - before) / (performance.now() - begun)) * 100;
}

class GentleLoad {
  readonly tally = new Tally();
  readonly #api: Api;
  readonly #done: Promise<void>;
  #over = false;

  constructor(api: Api) {
    this.#api = api;
    this.#done = this.#play();
  }

  async stop(): Promise<void> {
    this.#over = true;
    await this.#done;
  }

  async #play(): Promise<void> {
    const next = mailSource(realMails());
    while (!this.#over) {
      const session = await this.#api.openSession();
      for (let sent = 0; sent < REQUESTS_PER_SESSION && !this.#over; sent += 1) {
        const [gap, model] = [pause(REQUEST_EVERY_MS), bundledModel.id];
        const body = { model, session, user: `user-${sent % 4}`, inputs: next() };
        this.tally.take(await this.#api.classify(body));
        await gap;
      }
      await this.#api.endSession(session);
    }
  }
}

type Chromium = Awaited<ReturnType<typeof import('../../scripts/chromium.mjs')['startChromium']>>;

async function startBrowser(context: Context): Promise<OpenPages> {
  const file = pathToFileURL(path.join(projectFolder, 'scripts', 'chromium.mjs')).href;
  const { startChromium }: typeof import('../../scripts/chromium.mjs') = await import(file);
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

  /** Each under a name of its own: a browser opens six connections to one name at most. */
  async open(url: string, count: number): Promise<void> {
    const { port } = new URL(url);
    for (let number = 0; number < count; number += 1) {
      const opened = await this.#context.newPage();
      await opened.goto(`http://page${number}.localhost:${port}/`);
      await opened.locator('.connection-live').waitFor();
    }
  }

  /** @returns how many were still fed. */
  async closeAll(): Promise<number> {
    let live = 0;
    for (const opened of this.#context.pages()) {
      live += await opened.locator('.connection-live').count();
      await opened.close();
    }
    return live;
  }

  /** CPU time of every process of the browser: all that descend from this one, but for the server's. */
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

/** A process may end while it is looked at. */
function readOr(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
