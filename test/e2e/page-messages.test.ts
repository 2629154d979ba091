import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { chromium } from '../servers/tools.js';
import { Browser, findViolations, panel, shoot, shootFailure } from './browser.js';
import { get, type Server, startServer, until } from './harness.js';

interface ProofView {
  readonly state: string;
  readonly reason: string | null;
}

/** Five sessions of eight users, on a busy machine. */
const PROOF_MS = 110_000;
const WIDTHS = [360, 768, 1280, 1920] as const;
/** One input may wait: eight users at once are refused. */
const REFUSING = { 'worker.count': 1, 'queue.max_inputs': 1 };

describe.skipIf(chromium === undefined)('messages of the page', () => {
  let server: Server;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    server = await startServer({ settings: REFUSING });
    browser = await Browser.start();
    page = await browser.open(server);
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') await shootFailure(page, task.id);
  });

  afterAll(async () => {
    await browser?.close();
    await server?.stop();
    expect(browser?.faults ?? []).toEqual([]);
  });

  /** Stops the server and starts it again at the same address, with the same data. */
  async function away(meanwhile: () => Promise<void>): Promise<void> {
    const { port } = new URL(server.url);
    await server.stop();
    await meanwhile();
    server = await startServer({ data: server.data, port: Number(port), settings: REFUSING });
  }

  test('say wherever one has scrolled that the connection is lost, since when, and that it is back', async () => {
    const banner = page
      .getByRole('alert')
      .filter({ hasText: /^No connection since \d\d:\d\d:\d\d/ });
    await away(async () => {
      for (const width of WIDTHS) {
        await page.setViewportSize({ width, height: 700 });
        for (const share of [0, 0.5, 1]) {
          await page.evaluate(`scrollTo(0, document.documentElement.scrollHeight * ${share})`);
          await banner.waitFor();
          const text = await banner.locator('strong').boundingBox();
          expect(text?.y).toBeGreaterThanOrEqual(0);
          expect((text?.y ?? 0) + (text?.height ?? 0)).toBeLessThan(700);
          const isOnTop = `(() => {
            const { left, top } = document.querySelector('[role=alert] strong').getBoundingClientRect();
            return document.elementFromPoint(left + 4, top + 4).closest('[role=alert]') !== null;
          })()`;
          expect(await page.evaluate(isOnTop)).toBe(true);
        }
        await shoot(page, `lost-${width}`);
      }
      for (const theme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme: theme });
        expect(await findViolations(page)).toEqual([]);
      }
    });
    await banner.waitFor({ state: 'detached' });
    const back = page.getByText(/^Connected again after \d+ (s|min)/);
    await back.waitFor();
    await back.waitFor({ state: 'detached' });
  });

  test('do not cover what is reached with the keyboard while the connection is lost', async () => {
    await page.setViewportSize({ width: 360, height: 700 });
    await away(async () => {
      await page.getByRole('alert').waitFor();
      await page.evaluate('scrollTo(0, document.documentElement.scrollHeight)');
      await page.getByRole('link', { name: 'Licences' }).focus();
      for (let press = 0; press < 25; press += 1) {
        await page.keyboard.press('Shift+Tab');
        const covered = await page.evaluate<string | null>(`(() => {
          if (document.activeElement === document.body) return null;
          const { left, top, width, height } = document.activeElement.getBoundingClientRect();
          const hit = document.elementFromPoint(left + Math.min(width / 2, innerWidth - 1), top + Math.min(height / 2, 40));
          return hit?.closest('.banner') ? document.activeElement.outerHTML.slice(0, 80) : null;
        })()`);
        expect(covered).toBeNull();
      }
    });
    await page.getByRole('status').filter({ hasText: 'live' }).waitFor();
  });

  test('of a failed action go when it is void, or when they are dismissed', async () => {
    await page.setViewportSize({ width: 1280, height: 800 });
    const workers = panel(page, 'Workers');
    const message = workers.getByRole('alert');
    await away(async () => {
      await page.getByRole('alert').filter({ hasText: 'No connection' }).waitFor();
      await workers.getByRole('button', { name: 'Recycle all' }).click();
      await message.filter({ hasText: 'the server does not answer' }).waitFor();
      await message.getByRole('button', { name: 'Dismiss' }).click();
      await message.waitFor({ state: 'detached' });
      await workers.getByRole('button', { name: 'Recycle all' }).click();
      await message.waitFor();
    });
    // The server answers again: that it did not is history.
    await message.waitFor({ state: 'detached' });
  });

  test('of a text that is no longer there go with the first change', async () => {
    const tryIt = panel(page, 'Try it');
    await tryIt.getByRole('button', { name: 'Classify' }).click();
    await tryIt.locator('.timing').waitFor();
    await tryIt.getByLabel('A text to classify').fill('another text');
    await tryIt.locator('.timing').waitFor({ state: 'detached' });
  });

  test(
    'of a proof say in one line why it failed, or why it has no verdict',
    async () => {
      const proof = panel(page, 'Proof');
      const newest = proof.getByRole('listitem').first();
      await proof.getByRole('button', { name: 'Start a proof' }).click();
      await newest.getByText('failed', { exact: true }).waitFor({ timeout: PROOF_MS });
      const [failed] = (await get<{ proofs: ProofView[] }>(server, '/v1/proofs')).proofs;
      expect(failed?.reason).toMatch(/^“Every user was served” does not hold: \d+ of 40 users/);
      await newest.getByText(failed?.reason ?? 'no reason', { exact: true }).waitFor();
      await shoot(page, 'proof-failed');

      await proof.getByRole('button', { name: 'Start a proof' }).click();
      await proof.getByText(/^\d of \d sessions$/).waitFor();
      const { port } = new URL(server.url);
      await server.kill();
      server = await startServer({ data: server.data, port: Number(port), settings: REFUSING });
      await until('the page has heard of it', async () =>
        (await newest.innerText()).includes('no verdict'),
      );
      await newest.getByText('The server ended while the proof was running.').waitFor();
    },
    2 * PROOF_MS,
  );

  test('say that there is no session of this address, however it is written', async () => {
    for (const id of ['%', '%E0%A4%A', 's_none', 'x'.repeat(100)]) {
      await page.goto(`${server.url}/#/sessions/${id}`);
      await page.getByRole('alert').filter({ hasText: 'there is no session' }).waitFor();
      expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
      await page.getByRole('link', { name: 'Overview' }).click();
      await panel(page, 'Memory over time').waitFor();
    }
  });
});
