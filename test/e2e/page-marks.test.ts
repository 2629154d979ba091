import { setTimeout as sleep } from 'node:timers/promises';
import type { Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chromium } from '../servers/tools.js';
import { Browser, findViolations, panel, shoot } from './browser.js';
import { classify, endSession, openSession, type Server, startServer } from './harness.js';
import { textNumber } from './texts.js';

/** Each session loads the model, unloads it and ends: three marks within a second or two. */
const SESSIONS = 6;
/** They are held twice. The time between is more than a group spans, however fast the machine is. */
const BETWEEN_MS = 4_000;
const WIDTHS = [360, 1280] as const;

interface Box {
  readonly left: number;
  readonly right: number;
}

describe.skipIf(chromium === undefined)('the marks in the chart', () => {
  let server: Server;
  let browser: Browser;
  let page: Page;
  let lane: Locator;

  beforeAll(async () => {
    server = await startServer({ settings: { 'worker.count': 1, 'cache.max_size': '0' } });
    await holdSessions();
    await sleep(BETWEEN_MS);
    await holdSessions();
    browser = await Browser.start();
    page = await browser.open(server);
    lane = page.getByRole('toolbar', { name: /^What happened/ });
    await lane.getByRole('button').first().waitFor();
    // A range that is chosen stands still.
    await page.locator('.chart').focus();
    await page.keyboard.press('+');
    await page.keyboard.press('-');
    await page.locator('.choice button:text-is("now"):enabled').waitFor();
  });

  afterAll(async () => {
    await browser?.close();
    await server?.stop();
    expect(browser?.faults ?? []).toEqual([]);
  });

  async function holdSessions(): Promise<void> {
    for (let session = 0; session < SESSIONS; session += 1) {
      const { id } = await openSession(server);
      await classify(server, textNumber(session), { session: id, user: 'ann' });
      await endSession(server, id);
    }
  }

  /** Groups of several marks. */
  function groups(): Locator {
    return lane.getByRole('button', { name: /^\d+ events, / });
  }

  /** Where the symbols stand, from left to right. */
  async function symbols(): Promise<readonly Box[]> {
    const found = await lane.locator('.mark-symbol, .mark-count').evaluateAll((elements) =>
      elements.map((element) => {
        const { left, right } = element.getBoundingClientRect();
        return { left, right };
      }),
    );
    return found.toSorted((a, b) => a.left - b.left);
  }

  test('are grouped with their count, and no two symbols overlap', async () => {
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 800 });
      await expect.poll(() => groups().count()).toBeGreaterThan(0);
      await expect
        .poll(async () => {
          const boxes = await symbols();
          return boxes.filter(({ left }, at) => left < (boxes[at - 1]?.right ?? 0) - 0.5);
        })
        .toEqual([]);
      const first = groups().first();
      const name = (await first.getAttribute('aria-label')) ?? '';
      expect(await first.innerText()).toBe(/^\d+/.exec(name)?.[0]);
      expect(name).toMatch(/: (\d+ × [a-z ]+(, )?)+$/);
      await shoot(page, `marks-${width}`);
    }
  });

  test.each(['pointed at', 'tapped', 'focused'])('are listed when they are %s', async (how) => {
    await page.setViewportSize({ width: 1280, height: 800 });
    const group = groups().first();
    // Whatever was looked at before is left.
    await page.mouse.move(0, 0);
    await page.locator('.chart').focus();
    if (how === 'pointed at') await group.hover();
    if (how === 'tapped') await group.dispatchEvent('click');
    if (how === 'focused') await group.focus();
    const list = lane.locator('.mark-list');
    await list.waitFor();
    const count = Number(/^\d+/.exec((await group.getAttribute('aria-label')) ?? '')?.[0]);
    expect(await list.getByRole('listitem').count()).toBe(count);
    await list
      .getByText(/^spam opened in worker-\d/)
      .or(list.getByText(/session ended/))
      .first()
      .waitFor();
    if (how === 'pointed at') {
      // The list itself can be pointed at, to read and scroll it.
      await list.hover();
      expect(await list.isVisible()).toBe(true);
      expect(await findViolations(page)).toEqual([]);
      await shoot(page, 'marks-list');
      await page.mouse.move(0, 0);
    } else {
      await group.press('Escape');
    }
    await list.waitFor({ state: 'detached' });
  });

  test('are one stop of the Tab key, and the arrow keys go from one to the next', async () => {
    const reachable = lane.locator('button[tabindex="0"]');
    expect(await reachable.count()).toBe(1);
    const focusedKey = () => page.evaluate('document.activeElement.dataset.key');
    await page.locator('.chart').focus();
    await page.keyboard.press('Tab');
    const begun = await focusedKey();
    expect(begun).toBe(await reachable.getAttribute('data-key'));
    const count = await lane.getByRole('button').count();
    expect(count).toBeGreaterThan(1);
    for (let press = 0; press < count; press += 1) await page.keyboard.press('ArrowLeft');
    const first = lane.getByRole('button').first();
    expect(await focusedKey()).toBe(await first.getAttribute('data-key'));
    await page.keyboard.press('ArrowRight');
    expect(await focusedKey()).toBe(await lane.getByRole('button').nth(1).getAttribute('data-key'));
    expect(await reachable.count()).toBe(1);
    // The list comes next, as a long one scrolls; it stays while it is read, and goes when it is left.
    const list = lane.locator('.mark-list');
    await page.keyboard.press('Tab');
    expect(await list.evaluate((node) => node === node.ownerDocument.activeElement)).toBe(true);
    await page.keyboard.press('Tab');
    await list.waitFor({ state: 'detached' });
  });

  test('are all in the list of events, which shows more than its first on demand', async () => {
    const events = panel(page, 'Events');
    const marked = await lane.locator('button').evaluateAll((buttons) =>
      buttons.reduce((sum, button) => {
        const several = /^(\d+) events, /.exec(button.getAttribute('aria-label') ?? '');
        return sum + Number(several?.[1] ?? 1);
      }, 0),
    );
    const listed = await events.getByRole('listitem').count();
    expect(listed).toBeGreaterThanOrEqual(Math.min(40, marked));
    const all = events.getByRole('button', { name: /^Show all/ });
    if (await all.isVisible()) {
      await all.click();
      await expect.poll(() => events.getByRole('listitem').count()).toBeGreaterThanOrEqual(marked);
    }
  });
});
