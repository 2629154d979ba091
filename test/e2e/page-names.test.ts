import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ModelView } from '../../src/contract/models.js';
import { chromium } from '../servers/tools.js';
import { Browser, findLayoutFaults, findViolations, panel, shoot } from './browser.js';
import {
  classify,
  endSession,
  get,
  openSession,
  type Server,
  startServer,
  temporaryFolder,
} from './harness.js';
import {
  MANY_LABELS,
  MANY_LABELS_ID,
  ODD_LABELS,
  ODD_LABELS_ID,
  writeOddModels,
} from './odd-models.js';

const SIZES = [
  { width: 360, height: 780 },
  { width: 768, height: 1024 },
  { width: 1280, height: 800 },
  { width: 1920, height: 1080 },
];
const THEMES = ['light', 'dark'] as const;
/** Eight combinations of width and theme, each looked at screen by screen. */
const ALL_MS = 240_000;

describe.skipIf(chromium === undefined)('the page with odd names', () => {
  let server: Server;
  let browser: Browser;
  let page: Page;
  let models: readonly ModelView[];
  let ended: string;

  beforeAll(async () => {
    const folder = await temporaryFolder();
    await writeOddModels(folder);
    server = await startServer({ models: folder, settings: { 'worker.count': 2 } });
    ({ models } = await get<{ models: ModelView[] }>(server, '/v1/models'));
    const { id } = await openSession(server);
    for (const { id: model, state } of models) {
      if (state !== 'broken') await classify(server, 'a text', { model, session: id, user: 'ann' });
    }
    await endSession(server, id);
    ended = id;
    browser = await Browser.start();
    page = await browser.open(server);
  }, ALL_MS);

  afterAll(async () => {
    await browser?.close();
    await server?.stop();
    expect(browser?.faults ?? []).toEqual([]);
  });

  /** Checks the page at every width in both themes, and keeps a picture of each. */
  async function expectNoFaults(name: string): Promise<void> {
    for (const theme of THEMES) {
      await page.emulateMedia({ colorScheme: theme });
      for (const size of SIZES) {
        await page.setViewportSize(size);
        const where = `${name} at ${size.width} px, ${theme}`;
        expect({ where, faults: await findLayoutFaults(page) }).toEqual({ where, faults: [] });
        await shoot(page, `${name}-${size.width}-${theme}`);
      }
      // As cards; as tables the page is looked at where its names are short, too.
      await page.setViewportSize({ width: 360, height: 780 });
      const violations = await findViolations(page);
      expect({ name, theme, violations }).toEqual({ name, theme, violations: [] });
    }
  }

  test(
    'shows each name in full, cut and covered nowhere',
    async () => {
      const table = page.getByRole('table', { name: 'Models in the repository' });
      await expect.poll(() => table.getByRole('row').count()).toBeGreaterThan(models.length);
      const showAll = panel(page, 'Models').getByRole('button', { name: /^Show all/ });
      if (await showAll.isVisible()) await showAll.click();
      for (const { id } of models) {
        await table.getByRole('rowheader').getByText(id, { exact: true }).waitFor();
      }
      const broken = models.find(({ state }) => state === 'broken');
      await table.getByText(broken?.reason ?? 'no broken model', { exact: true }).waitFor();
      await expectNoFaults('names');
    },
    ALL_MS,
  );

  test(
    'shows 3,000 labels, and labels of 200 characters',
    async () => {
      await page.setViewportSize({ width: 1280, height: 800 });
      for (const id of [MANY_LABELS_ID, ODD_LABELS_ID]) {
        await panel(page, 'Models').getByRole('button', { name: id, exact: true }).click();
      }
      const listOf = (id: string) =>
        page.getByRole('region', { name: `Labels of ${id}`, exact: true });
      // The state names the first few only; the rest is asked for.
      const many = listOf(MANY_LABELS_ID).getByRole('listitem');
      await expect.poll(() => many.count()).toBe(MANY_LABELS);
      for (const label of ODD_LABELS)
        await listOf(ODD_LABELS_ID).getByText(label, { exact: true }).waitFor();
      const tryIt = panel(page, 'Try it');
      await tryIt.getByLabel('Model').selectOption(MANY_LABELS_ID);
      await tryIt.getByRole('button', { name: 'Classify' }).click();
      await tryIt
        .getByText(`${MANY_LABELS.toLocaleString('en-US')} labels`, { exact: false })
        .first()
        .waitFor();
      await tryIt.getByRole('button', { name: /^Show all 3,000/ }).click();
      expect(await tryIt.getByRole('listitem').count()).toBe(MANY_LABELS);
      await tryIt.getByRole('button', { name: /^Show the first/ }).click();
      await tryIt.getByLabel('Model').selectOption(ODD_LABELS_ID);
      // The answer of the other model is not left standing.
      await expect.poll(() => tryIt.getByRole('listitem').count()).toBe(0);
      await tryIt.getByRole('button', { name: 'Classify' }).click();
      for (const label of ODD_LABELS) await tryIt.getByText(label, { exact: true }).waitFor();
      // Looked at with all of them, then closed: axe takes minutes for thousands of list items.
      await page.setViewportSize({ width: 360, height: 780 });
      expect(await findLayoutFaults(page)).toEqual([]);
      await panel(page, 'Models')
        .getByRole('button', { name: MANY_LABELS_ID, exact: true })
        .click();
      await expectNoFaults('labels');
    },
    ALL_MS,
  );

  test('is looked at by a check that finds faults', async () => {
    const cell = "document.querySelector('.table tbody th')";
    const makers = [
      [
        `${cell}.style.whiteSpace = 'nowrap'; ${cell}.textContent = 'x'.repeat(400)`,
        /wider than its panel|leaves the window/,
      ],
      [`document.querySelector('.brand').style.translate = '0 60px'`, /is covered by/],
      [
        `document.querySelector('.hint').style.cssText = 'height: 8px; overflow: hidden'`,
        /is cut at its height/,
      ],
    ] as const;
    for (const [make, fault] of makers) {
      await page.reload();
      await page.locator('.gauge-used').waitFor();
      await page.evaluate(make);
      expect((await findLayoutFaults(page)).join()).toMatch(fault);
    }
    await page.reload();
  });

  test(
    'shows every column of every table at every width',
    async () => {
      for (const size of SIZES) {
        await page.setViewportSize(size);
        // As a column under its head, or in a card under the column's name.
        const unseen = await page.evaluate<string[]>(
          `[...document.querySelectorAll('tbody td[data-head]')].flatMap((cell) => {
            const { left, right, width } = cell.getBoundingClientRect();
            const isInside = width > 0 && left >= 0 && right <= innerWidth;
            const head = cell.closest('table').querySelector('thead').getBoundingClientRect();
            const named = getComputedStyle(cell, '::before').content === JSON.stringify(cell.dataset.head);
            const isAction = cell.classList.contains('action');
            return isInside && (head.width > 1 || named || isAction) ? [] : [cell.dataset.head];
          })`,
        );
        expect({ size, unseen }).toEqual({ size, unseen: [] });
      }
    },
    ALL_MS,
  );

  test(
    'shows a session with its receipt',
    async () => {
      await page.goto(`${server.url}/#/sessions/${ended}`);
      await page.getByRole('table', { name: 'Memory before and after' }).first().waitFor();
      await expectNoFaults('session-names');
    },
    ALL_MS,
  );
});
