import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chromium } from '../servers/tools.js';
import { Browser, findLayoutFaults, findViolations, panel, row, shoot } from './browser.js';
import { endSession, openSession, type Server, startServer, until } from './harness.js';
import { Load, undisturbed } from './load.js';

const SIZES = [
  { width: 360, height: 780 },
  { width: 1280, height: 800 },
  { width: 2560, height: 1440 },
];
const THEMES = ['light', 'dark'] as const;

let server: Server;
let browser: Browser;
let load: Load;
let ended: string;

describe.skipIf(chromium === undefined)('the page of a server under load', () => {
  beforeAll(async () => {
    server = await startServer({ settings: { 'worker.count': 2 } });
    browser = await Browser.start();
    const expected = await undisturbed(server, 60);
    const { id } = await openSession(server);
    load = new Load(server, expected, { users: 4, fields: { session: id } });
    ({ id: ended } = await openSession(server));
    const short = new Load(server, expected, { users: 4, fields: { session: ended } });
    await until('both have answered', () => load.answered > 20 && short.answered > 20);
    await short.finish();
    await endSession(server, ended);
  });

  afterAll(async () => {
    await load?.finish();
    expect(load?.wrong ?? []).toEqual([]);
    await browser?.close();
    expect(browser?.faults ?? []).toEqual([]);
  });

  test.each(THEMES)('fits a phone and a wall, open to everyone, in %s', async (theme) => {
    const page = await browser.open(server, { theme });
    await row(page, 'Past sessions', ended.slice(0, 10)).waitFor();
    await panel(page, 'Events').getByRole('button').first().click();
    await page
      .getByRole('table', { name: 'Actions' })
      .or(page.getByText('No action was'))
      .waitFor();
    for (const size of SIZES) {
      await page.setViewportSize(size);
      expect(await findLayoutFaults(page)).toEqual([]);
      expect(await findViolations(page)).toEqual([]);
      await shoot(page, `${size.width}-${theme}`);
    }
    await page.goto(`${server.url}/#/sessions/${ended}`);
    await page.getByRole('table', { name: 'Memory before and after' }).first().waitFor();
    for (const size of SIZES) {
      await page.setViewportSize(size);
      expect(await findLayoutFaults(page)).toEqual([]);
    }
    expect(await findViolations(page)).toEqual([]);
    await page.close();
  });

  test('says so when memory is over the line', async () => {
    const over = await startServer({ settings: { 'worker.count': 1, 'memory.load_line': '256M' } });
    const page = await browser.open(over);
    const gauge = page.getByRole('region', { name: 'Memory now' });
    await gauge.getByText('critical').waitFor();
    await gauge.getByText(/MB over the line/).waitFor();
    for (const theme of THEMES) {
      await page.emulateMedia({ colorScheme: theme });
      expect(await findViolations(page)).toEqual([]);
      for (const size of SIZES) {
        await page.setViewportSize(size);
        expect(await findLayoutFaults(page)).toEqual([]);
        const [around, mark] = await Promise.all([
          gauge.boundingBox(),
          gauge.locator('.load-line-mark circle').boundingBox(),
        ]);
        const bottom = (box: typeof mark) => (box?.y ?? 0) + (box?.height ?? 0);
        expect(mark?.y).toBeGreaterThanOrEqual(around?.y ?? 0);
        expect(bottom(mark)).toBeLessThanOrEqual(bottom(around));
      }
      await page.setViewportSize({ width: 1280, height: 800 });
      await shoot(page, `critical-${theme}`);
    }
    await page.close();
    await over.stop();
  });
});
