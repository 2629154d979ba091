import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { chromium } from '../servers/tools.js';
import { Browser, panel, row, shoot, shootFailure } from './browser.js';
import { EventRelay } from './event-relay.js';
import { classify, endSession, openSession, type Server, startServer, until } from './harness.js';
import { textNumber } from './texts.js';

/** Fills every buffer of the page; what comes after may not make it larger. */
const WARM_EVENTS = 4000;
const EVENTS = 10_000;
/** 10,000 events that leave 100 bytes each would be as much. */
const MAX_GROWTH_BYTES = 1e6;
const MAX_MORE_NODES = 500;

let server: Server;
let browser: Browser;
const pages: Page[] = [];

async function openPage(of: { readonly url: string }): Promise<Page> {
  const page = await browser.open(of);
  pages.push(page);
  return page;
}

async function playSession(): Promise<string> {
  const { id } = await openSession(server);
  await classify(server, [textNumber(1), textNumber(2)], { session: id, user: 'ann' });
  await endSession(server, id);
  return id;
}

/** What the page holds once garbage is collected. */
async function heldBy(page: Page): Promise<{ readonly heapBytes: number; readonly nodes: number }> {
  const debug = await page.context().newCDPSession(page);
  await debug.send('HeapProfiler.collectGarbage');
  const { usedSize } = await debug.send('Runtime.getHeapUsage');
  const { nodes } = await debug.send('Memory.getDOMCounters');
  await debug.detach();
  return { heapBytes: usedSize, nodes };
}

/** The page has read everything when it shows the last state's figure. */
async function play(relay: EventRelay, page: Page, count: number, last: number): Promise<void> {
  await relay.play(count, last);
  const shown = page.locator('.key-figures > div', { hasText: 'Inputs waiting' }).locator('dd');
  await shown.filter({ hasText: new RegExp(`^${last}$`) }).waitFor();
}

describe.skipIf(chromium === undefined)('a page that stays open', () => {
  beforeAll(async () => {
    browser = await Browser.start();
    server = await startServer({ settings: { 'worker.count': 1 } });
  });

  afterEach(async ({ task }) => {
    for (const page of pages.splice(0)) {
      if (task.result?.state === 'fail') await shootFailure(page, task.id);
      await page.close();
    }
  });

  afterAll(async () => {
    await browser?.close();
    expect(browser?.faults ?? []).toEqual([]);
  });

  test(`does not grow over ${EVENTS} events`, async () => {
    const relay = await EventRelay.start(server);
    onTestFinished(() => relay.stop());
    await playSession();
    const page = await openPage(relay);
    await play(relay, page, WARM_EVENTS, 111);
    const before = await heldBy(page);
    await play(relay, page, EVENTS, 222);
    const after = await heldBy(page);
    expect(after.heapBytes - before.heapBytes).toBeLessThan(MAX_GROWTH_BYTES);
    expect(after.nodes - before.nodes).toBeLessThan(MAX_MORE_NODES);
    // It kept what is newest, and no more than it can draw.
    expect(await panel(page, 'Events').getByRole('listitem').count()).toBe(40);
  });

  test('says that the server is away, and goes on by itself when it is back', async () => {
    const id = await playSession();
    const page = await openPage(server);
    await row(page, 'Past sessions', id.slice(0, 10)).waitFor();
    const { port } = new URL(server.url);
    expect(await server.stop()).toMatchObject({ code: 0 });
    const banner = page.getByRole('alert').filter({ hasText: 'The server does not answer' });
    await banner.waitFor();
    await page.getByRole('status').filter({ hasText: 'no connection' }).waitFor();
    // What was known is still there.
    await row(page, 'Past sessions', id.slice(0, 10)).waitFor();
    await shoot(page, 'away');
    const settings = { 'worker.count': 1 };
    server = await startServer({ data: server.data, port: Number(port), settings });
    await banner.waitFor({ state: 'detached' });
    await page.getByRole('status').filter({ hasText: 'live' }).waitFor();
    const next = await playSession();
    await row(page, 'Past sessions', next.slice(0, 10)).waitFor();
    await row(page, 'Past sessions', id.slice(0, 10)).waitFor();
  });

  test('notices a server that stands still', async () => {
    const page = await openPage(server);
    process.kill(server.pid, 'SIGSTOP');
    try {
      await page.getByRole('alert').filter({ hasText: 'The server does not answer' }).waitFor();
    } finally {
      process.kill(server.pid, 'SIGCONT');
    }
    await page.getByRole('status').filter({ hasText: 'live' }).waitFor();
  });

  test('is told why where there is no room for it, and gets in when there is', async () => {
    const own = await startServer({ settings: { 'worker.count': 1, 'page.max_viewers': 1 } });
    const first = await openPage(own);
    const second = await browser.openAnyway(own);
    pages.push(second);
    await second.getByRole('alert').filter({ hasText: '1 pages are open' }).waitFor();
    // A tab that nobody sees gives its place back.
    await first.evaluate(
      `Object.defineProperty(document, 'hidden', { get: () => true });
      document.dispatchEvent(new Event('visibilitychange'))`,
    );
    await until('the second one is live', () =>
      second.getByRole('status').filter({ hasText: 'live' }).isVisible(),
    );
    await own.stop();
  });
});
