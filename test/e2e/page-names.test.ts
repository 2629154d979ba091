import { cp } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Answer } from '../../src/contract/classify.js';
import type {
  RerankAnswer,
  TokenClassificationAnswer,
  ZeroShotAnswer,
} from '../../src/contract/doors/tasks.js';
import type { ModelView } from '../../src/contract/models.js';
import { chromium } from '../servers/tools.js';
import { Browser, findLayoutFaults, findViolations, panel, shoot, shootPart } from './browser.js';
import {
  classify,
  endSession,
  get,
  openSession,
  post,
  type Server,
  startServer,
  temporaryFolder,
} from './harness.js';
import { copyForm } from './model-folders.js';
import {
  MANY_LABELS,
  MANY_LABELS_ID,
  ODD_IDS,
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
const REFERENCE = fileURLToPath(new URL('../fixtures/reference', import.meta.url));
/** Models of other tasks, under names of their own. */
const OTHER_TASKS = { nli: 'zs-bert', ner: 'ner-bert', reranker: 'rerank-bert' };
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
    for (const [name, from] of Object.entries(OTHER_TASKS)) {
      await cp(path.join(REFERENCE, from), path.join(folder, name), { recursive: true });
    }
    const data = path.join(await temporaryFolder(), 'data');
    // The others, whose folders of forms have made-up names, are prepared by the server.
    for (const id of ODD_IDS.filter((odd) => /^[\w/.-]+$/.test(odd))) await copyForm(data, id);
    server = await startServer({ models: folder, data, settings: { 'worker.count': 2 } });
    ({ models } = await get<{ models: ModelView[] }>(server, '/v1/models'));
    const { id } = await openSession(server);
    for (const { id: model, tasks } of models) {
      if (!tasks.includes('text-classification')) continue;
      await classify(server, 'a text', { model, session: id, user: 'ann' });
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
      await table.getByRole('row').nth(1).waitFor();
      const showAll = panel(page, 'Models').getByRole('button', { name: /^Show all/ });
      if (await showAll.isVisible()) await showAll.click();
      await expect.poll(() => table.getByRole('row').count()).toBeGreaterThan(models.length);
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

  /** Looks at the box with its answer, on a phone and on a desk. */
  async function expectFits(name: string): Promise<void> {
    for (const theme of THEMES) {
      await page.emulateMedia({ colorScheme: theme });
      for (const size of [SIZES[0], SIZES[2]]) {
        if (size !== undefined) await page.setViewportSize(size);
        const faults = await findLayoutFaults(page);
        expect({ name, theme, size, faults }).toEqual({ name, theme, size, faults: [] });
      }
      // The rest of the page stays as it was looked at in the first test.
      const violations = await findViolations(page, '.panel:has(.try)');
      expect({ name, theme, violations }).toEqual({ name, theme, violations: [] });
      await shootPart(panel(page, 'Try it'), `try-${name}-${theme}`);
    }
  }

  const shownScores = async (box: Locator) =>
    (await box.locator('.score').allInnerTexts()).map((text) => {
      const parts = text.split('\n');
      return [parts[0], Number.parseFloat(parts.at(-1) ?? '') / 100] as const;
    });

  test(
    'asks each model what it can do',
    async () => {
      const box = panel(page, 'Try it');
      const choose = (model: string) => box.getByLabel('Model').selectOption(model);
      const ways = () => box.getByRole('group', { name: 'What is asked' }).getByRole('button');

      // Own labels, with the keyboard alone.
      await choose('nli');
      expect(await ways().allInnerTexts()).toEqual(['own labels', 'one text', 'two texts']);
      await box.getByLabel('A text to classify').fill('The parcel never came.');
      await page.keyboard.press('Tab');
      await page.keyboard.press('Control+A');
      await page.keyboard.type('delivery\nrefund\npraise');
      await page.keyboard.press('Control+Enter');
      const candidate_labels = ['delivery', 'refund', 'praise'];
      const asked = { model: 'nli', inputs: 'The parcel never came.', candidate_labels };
      await box.locator('.timing').waitFor();
      const expected = await post<ZeroShotAnswer>(server, '/v1/zero-shot-classification', asked);
      const bars = await shownScores(box);
      expect(bars.map(([label]) => label)).toEqual(expected.results[0]?.map(({ label }) => label));
      for (const [index, [, score]] of bars.entries()) {
        expect(score).toBeCloseTo(expected.results[0]?.[index]?.score ?? -1, 2);
      }
      expect(await box.getByRole('meter').count()).toBe(3);
      await expectFits('labels');

      // Two texts.
      await ways().filter({ hasText: 'two texts' }).press('Space');
      await expect.poll(() => box.locator('.score').count()).toBe(0);
      await box.getByLabel('First text').fill('A man plays the piano.');
      await box.getByLabel('Second text').fill('Somebody makes music.');
      await box.getByRole('button', { name: 'Classify' }).press('Enter');
      await box.locator('.timing').waitFor();
      const inputs = { text: 'A man plays the piano.', text_pair: 'Somebody makes music.' };
      const pair = await post<Answer>(server, '/v1/classify', { model: 'nli', inputs });
      expect((await shownScores(box)).map(([label]) => label)).toEqual(
        pair.results[0]?.map(({ label }) => label),
      );
      await expectFits('pair');

      // Documents.
      await choose('reranker');
      expect(await ways().allInnerTexts()).toEqual(['one text', 'two texts', 'rank documents']);
      await ways().filter({ hasText: 'rank documents' }).press('Enter');
      const documents = ['Opening hours', 'Returns are free', 'A long way home'];
      await box.getByLabel('Query').fill('return a parcel');
      await box.getByLabel('Documents, one a line').fill(documents.join('\n'));
      await box.getByRole('button', { name: 'Rank', exact: true }).click();
      await box.locator('.timing').waitFor();
      const query = { model: 'reranker', query: 'return a parcel', documents };
      const { results } = await post<RerankAnswer>(server, '/v1/reranking', query);
      expect((await shownScores(box)).map(([text]) => text)).toEqual(
        results.map(({ index }) => documents[index]),
      );
      await expectFits('documents');

      // Entities, at their places in a text with characters beyond the first plane.
      await choose('ner');
      expect(await ways().count()).toBe(0);
      const text = '😀 Ada Lovelace lived in London.\nÅsa met 東京 in Paris 👩‍🚀 with Bob.';
      await box.getByLabel('A text with names').fill(text);
      await box.getByRole('button', { name: 'Find entities' }).click();
      await box.locator('.timing').waitFor();
      const { results: lists } = await post<TokenClassificationAnswer>(
        ...[server, '/v1/token-classification'],
        { model: 'ner', inputs: text, aggregation_strategy: 'simple' },
      );
      const entities = lists[0] ?? [];
      expect(entities.length).toBeGreaterThan(0);
      const marked = await box
        .locator('mark.entity')
        .evaluateAll((marks) =>
          marks.map((mark) => [
            mark.firstChild?.textContent,
            mark.querySelector('bdi')?.textContent,
          ]),
        );
      const points = Array.from(text);
      expect(marked).toEqual(
        entities.map(({ start, end, label }) => [points.slice(start, end).join(''), label]),
      );
      await expectFits('entities');
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
