import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Models } from '../../src/contract/models.js';
import type { Receipt } from '../../src/contract/receipts.js';
import type { SessionView } from '../../src/contract/sessions.js';
import type { MemoryView } from '../../src/contract/state/memory.js';
import type { Workers } from '../../src/contract/state/workers.js';
import { chromium } from '../servers/tools.js';
import { Browser, cells, numberIn, panel, row, shoot, shootFailure } from './browser.js';
import {
  classify,
  endSession,
  get,
  openSession,
  post,
  type Server,
  startServer,
  topLabel,
  until,
} from './harness.js';
import { type Expected, Load, undisturbed } from './load.js';
import { textNumber } from './texts.js';

let server: Server;
let browser: Browser;
let page: Page;
let expected: readonly Expected[];

const USERS = 6;
/** Five sessions of eight users, on a busy machine. */
const PROOF_MS = 100_000;

/** A session under load, ended; what the server says of it. */
async function playSession(): Promise<SessionView & { readonly cleanup: Receipt }> {
  const { id } = await openSession(server);
  const load = new Load(server, expected, { users: USERS, fields: { session: id } });
  await until('the session has answered', () => load.answered >= 60);
  await load.finish();
  expect(load.wrong).toEqual([]);
  return endSession(server, id);
}

/** Waits until the text of a row has what is looked for. */
async function rowWith(table: string, name: string, text: RegExp): Promise<readonly string[]> {
  const found = row(page, table, name).filter({ hasText: text });
  await found.waitFor();
  return cells(found);
}

describe.skipIf(chromium === undefined)('the page', () => {
  beforeAll(async () => {
    server = await startServer({
      // Nothing ends or is replaced by itself while it is looked at.
      settings: {
        'worker.count': 2,
        'session.idle_timeout_ms': 600_000,
        'recycle.after_users': 1000,
        'memory.residency_interval_ms': 60_000,
      },
    });
    browser = await Browser.start();
    expected = await undisturbed(server, 40);
    await playSession();
    page = await browser.open(server);
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') await shootFailure(page, task.id);
    await page.goto(`${server.url}/#/`);
  });

  afterAll(async () => {
    await browser?.close();
    expect(browser?.faults ?? []).toEqual([]);
  });

  test('shows memory now against the load line and the machine', async () => {
    const memory = await get<MemoryView>(server, '/v1/memory');
    const gauge = page.getByRole('region', { name: 'Memory now' });
    const used = numberIn(await gauge.locator('.gauge-used').innerText());
    expect(used / memory.server_used_mb).toBeGreaterThan(0.7);
    expect(used / memory.server_used_mb).toBeLessThan(1.4);
    const [, line] = (await gauge.locator('.gauge-of-line').innerText()).split('line, ');
    expect(numberIn(line)).toBe(Math.round(memory.load_line_mb));
    await gauge.getByText(
      `${Math.round(memory.server_total_mb).toLocaleString('en-US')} MB in all`,
    );
    expect(await gauge.locator('.pressure').innerText()).toContain(memory.pressure);
    const meter = gauge.getByRole('meter');
    expect(Number(await meter.getAttribute('value'))).toBe(used);
    expect(Number(await meter.getAttribute('max'))).toBe(Math.round(memory.server_total_mb));
    // The mark stands where the line is, measured by the height of the water.
    const [water, mark] = await Promise.all(
      ['.gauge-level', '.load-line'].map(async (part) => gauge.locator(part).boundingBox()),
    );
    const bottom = (water?.y ?? 0) + (water?.height ?? 0);
    const share = (water?.height ?? 0) / (bottom - (mark?.y ?? 0));
    expect(Math.abs(share - used / memory.load_line_mb)).toBeLessThan(0.03);
  });

  test('shows the processes, their private and shared memory, as the server reads them', async () => {
    const names = ['main', 'worker-1', 'worker-2'];
    for (const name of names) await row(page, 'Memory by process', name).waitFor();
    const { processes } = await get<MemoryView>(server, '/v1/memory');
    const main = await cells(row(page, 'Memory by process', 'main'));
    const read = processes.find(({ role }) => role === 'main');
    expect(Math.abs(numberIn(main[1]) - (read?.private_mb ?? 0))).toBeLessThan(15);
    const [, privateMb, sharedMb] = await cells(row(page, 'Memory by process', 'worker-1'));
    expect(numberIn(privateMb)).toBeGreaterThan(5);
    expect(numberIn(sharedMb)).toBeGreaterThan(1);
  });

  test('draws what was before it was opened, with the marks of that time', async () => {
    const events = panel(page, 'Events');
    await events
      .getByText(/session ended by the caller with 6 users, \d+ requests; its cleanup/)
      .waitFor();
    await events
      .getByText(/^spam opened in worker-\d/)
      .first()
      .waitFor();
    const from = Number(await page.locator('.chart').getAttribute('data-from'));
    const to = Number(await page.locator('.chart').getAttribute('data-to'));
    expect(to - from).toBeGreaterThan(5);
    await until('there is more than one reading', async () => {
      const { readings } = await get<{ readings: unknown[] }>(server, '/v1/memory/processes');
      return readings.length > 1;
    });
  });

  test('marks what happens, and shows the receipt of what is pointed at', async () => {
    const { id, cleanup } = await playSession();
    const entry = panel(page, 'Events')
      .getByRole('button')
      .filter({ hasText: /session ended/ })
      .first();
    await entry.filter({ hasText: /6 users/ }).waitFor();
    const chart = page.locator('.chart');
    const at = Date.parse(cleanup.started_at) / 1000 + cleanup.duration_ms / 1000;
    await until('the chart has come to it', async () => {
      return Number(await chart.getAttribute('data-to')) > at + 1;
    });
    // A range that is chosen stands still, so that one can point at it.
    await chart.focus();
    await page.keyboard.press('+');
    await page.locator('.choice button:text-is("now"):enabled').waitFor();
    const tooltip = page.getByRole('tooltip');
    const plot = await page.locator('.u-over').boundingBox();
    const [from, to] = [
      Number(await chart.getAttribute('data-from')),
      Number(await chart.getAttribute('data-to')),
    ];
    const x = (plot?.x ?? 0) + ((at - from) / (to - from)) * (plot?.width ?? 0);
    await page.mouse.move(x, (plot?.y ?? 0) + 60);
    await tooltip.getByText('private before').first().waitFor();
    const text = await tooltip.innerText();
    expect(text).toContain(`${cleanup.before.private_mb.toFixed(1)} MB`);
    expect(text).toContain('collect garbage');
    await shoot(page, 'receipt');
    await page.mouse.move(0, 0);
    await tooltip.waitFor({ state: 'detached' });
    await entry.click();
    await panel(page, 'Events')
      .getByRole('link', { name: /own page/ })
      .click();
    await panel(page, `Session ${id}`).waitFor();
  });

  test('zooms by dragging, by buttons and by keys, and comes back to the newest', async () => {
    const chart = page.locator('.chart');
    const length = async () =>
      Number(await chart.getAttribute('data-to')) - Number(await chart.getAttribute('data-from'));
    const now = page.getByRole('button', { name: 'now', exact: true });
    await chart.focus();
    await page.keyboard.press('0');
    await until('it is not zoomed', async () => now.isDisabled());
    const whole = await length();
    const plot = await page.locator('.u-over').boundingBox();
    const at = (share: number) => (plot?.x ?? 0) + (plot?.width ?? 0) * share;
    const y = (plot?.y ?? 0) + 50;
    await page.mouse.move(at(0.5), y);
    await page.mouse.down();
    await page.mouse.move(at(0.6), y);
    await page.mouse.move(at(0.9), y);
    await page.mouse.up();
    await until('it is zoomed', async () => now.isEnabled());
    expect((await length()) / whole).toBeCloseTo(0.4, 1);
    await page.mouse.dblclick(at(0.5), y);
    await until('it is not zoomed', async () => now.isDisabled());
    await page.getByRole('button', { name: 'Zoom in' }).click();
    await until('it is zoomed', async () => (await length()) < whole * 0.6);
    await now.click();
    await until('it is not zoomed', async () => now.isDisabled());
    await page.getByRole('button', { name: 'machine and line' }).click();
    await page.locator('.chart[data-view=machine]').waitFor();
    await page.getByRole('button', { name: '24 h' }).click();
    await page.getByRole('button', { name: '24 h', pressed: true }).waitFor();
    await page.getByRole('button', { name: 'by process' }).click();
    await page.getByRole('button', { name: '5 min' }).click();
  });

  test('shows sessions while they are open, and what they gave back when they are over', async () => {
    const { id } = await openSession(server, 5);
    await classify(server, [textNumber(1), textNumber(2)], { session: id, user: 'ann' });
    await classify(server, textNumber(3), { session: id, user: 'ben' });
    const name = id.slice(0, 10);
    const open = await rowWith('Open sessions', name, /2 of 5/);
    expect(open[3]).toBe('2');
    expect(numberIn(open[4])).toBeGreaterThan(0);
    const { cleanup, taken_mb: taken } = await endSession(server, id);
    const past = await rowWith('Past sessions', name, /2 of 5/);
    expect(numberIn(past[6])).toBeCloseTo(taken ?? Number.NaN, 1);
    expect(numberIn(past[7])).toBeCloseTo(cleanup.freed_private_mb, 1);
    await row(page, 'Open sessions', name).waitFor({ state: 'detached' });
  });

  test('has a page for each session, with its receipt, action by action', async () => {
    const { id } = await openSession(server);
    await classify(server, textNumber(4), { session: id, user: 'ann' });
    await row(page, 'Open sessions', id.slice(0, 10)).getByRole('link').click();
    const own = panel(page, `Session ${id}`);
    await own.getByText('open', { exact: true }).waitFor();
    await own.getByRole('button', { name: 'End it now' }).click();
    const actions = page.getByRole('table', { name: 'Actions' }).first();
    await actions.waitFor();
    await own.getByText('ended: ended by the caller').waitFor();
    const { cleanup } = await get<SessionView>(server, `/v1/sessions/${id}`);
    const shown = actions.locator('tbody tr');
    expect(await shown.count()).toBe(cleanup?.actions.length);
    for (const [index, action] of (cleanup?.actions ?? []).entries()) {
      const [what, , , freed] = await cells(shown.nth(index));
      expect(what).toBe(action.action.replaceAll('_', ' '));
      expect(numberIn(freed)).toBeCloseTo(action.freed_mb, 1);
    }
    await shoot(page, 'session');
    await page.getByRole('link', { name: 'Overview' }).click();
    await panel(page, 'Memory over time').waitFor();
    await page.goto(`${server.url}/#/sessions/s_none`);
    await page.getByRole('alert').filter({ hasText: 'there is no session' }).waitFor();
  });

  test('shows the models, and loads and unloads them', async () => {
    await classify(server, 'a text that nobody has sent before');
    const [, , privateMb, , , used] = await rowWith('Models in the repository', 'spam', /\d s ago/);
    const { models } = await get<Models>(server, '/v1/models');
    expect(numberIn(privateMb)).toBeCloseTo(models[0]?.private_mb ?? -1, 0);
    expect(used).toMatch(/^\d+ s ago$/);
    await page.getByRole('button', { name: 'Unload spam' }).click();
    await rowWith('Models in the repository', 'spam', /unloaded/);
    const state = async () => (await get<Models>(server, '/v1/models')).models[0]?.state;
    expect(await state()).toBe('unloaded');
    await page.getByRole('button', { name: 'Load spam' }).click();
    await page.getByRole('button', { name: 'Unload spam' }).waitFor();
    expect(await state()).not.toBe('unloaded');
    const [, shown] = await cells(row(page, 'Models in the repository', 'spam'));
    expect(shown).toMatch(/^(cold|hot)/);
    await panel(page, 'Events')
      .getByText(/^spam unloaded/)
      .first()
      .waitFor();
    await panel(page, 'Events')
      .getByText(/^spam opened in worker-\d/)
      .first()
      .waitFor();
  });

  test('shows the workers, and recycles one', async () => {
    const { workers } = await get<Workers>(server, '/v1/workers');
    const [first] = workers;
    if (first === undefined) throw new Error('there is no worker');
    const [, state, age, users, privateMb] = await cells(row(page, 'Worker processes', first.id));
    expect(state).toMatch(/^(ready|busy)$/);
    expect(age).toMatch(/^\d+ (s|min)$/);
    expect(numberIn(users)).toBe(first.users_since_recycle);
    expect(numberIn(privateMb)).toBeGreaterThan(5);
    await page.getByRole('button', { name: `Recycle ${first.id}` }).click();
    await row(page, 'Worker processes', first.id).waitFor({ state: 'detached' });
    await panel(page, 'Events')
      .getByText(new RegExp(`^${first.id} replaced in`))
      .waitFor();
    await until('there are two again', async () => {
      const rows = await page
        .getByRole('table', { name: 'Worker processes' })
        .getByRole('row')
        .count();
      return rows === 3;
    });
  });

  test('shows the hits of the cache, and that there is no other server', async () => {
    const text = 'a text that the cache knows the second time';
    await classify(server, text);
    await classify(server, text);
    const { memory } = await get<{ memory: { hits: number; misses: number } }>(server, '/v1/cache');
    expect(memory.hits).toBeGreaterThan(0);
    await until('the page shows them', async () => {
      const [, , hits, misses] = (await cells(row(page, 'Cache', 'memory'))).map(numberIn);
      return hits === memory.hits && misses === memory.misses;
    });
    expect(await cells(row(page, 'Cache', 'Redis'))).toEqual([
      'Redis',
      'not set up',
      '–',
      '–',
      '–',
      '–',
    ]);
    await panel(page, 'Cache and connections')
      .getByText(/Records are kept in a file/)
      .waitFor();
  });

  test('classifies a text, and shows scores and timings', async () => {
    const tryIt = panel(page, 'Try it');
    const text = 'Subject: meeting\n\nThe minutes of the last meeting are attached.';
    await tryIt.getByLabel('A text to classify').fill(text);
    await tryIt.getByLabel('Model').selectOption('spam');
    await tryIt.getByRole('button', { name: 'Classify' }).click();
    const timing = tryIt.locator('.timing');
    await timing.waitFor();
    expect(await timing.innerText()).toMatch(
      /queue .* ms, tokenize .* ms, run .* ms, in all .* ms/,
    );
    const { results } = await classify(server, text);
    const [label, score] = await tryIt
      .locator('.score')
      .first()
      .locator('bdi, strong')
      .allInnerTexts();
    expect(label).toBe(topLabel(results[0]));
    expect(numberIn(score) / 100).toBeCloseTo(results[0]?.[0]?.score ?? -1, 1);
    await tryIt.getByLabel('A text to classify').press('Control+Enter');
    await timing.filter({ hasText: 'from the cache (memory)' }).waitFor();
    await post(server, '/v1/models/spam/unload');
  });

  test(
    'starts a proof of the server, and opens its report',
    async () => {
      const proof = panel(page, 'Proof');
      await proof.getByRole('button', { name: 'Start a proof' }).click();
      await proof.getByRole('button', { name: 'A proof is running' }).waitFor();
      await proof.getByText(/^\d of \d sessions$/).waitFor();
      await proof.getByText('Open the report').waitFor({ timeout: PROOF_MS });
      const { proofs } = await get<{ proofs: { state: string }[] }>(server, '/v1/proofs');
      expect(['passed', 'failed']).toContain(proofs[0]?.state);
      await proof.getByText(String(proofs[0]?.state), { exact: true }).waitFor();
      const opened = page.waitForEvent('popup');
      await proof.getByText('Open the report').click();
      const report = await opened;
      await report
        .getByText(/Verdict/)
        .first()
        .waitFor();
      expect(await report.locator('figure svg').count()).toBeGreaterThan(0);
      await report.close();
      await shoot(page, 'proof');
    },
    PROOF_MS,
  );

  test('is used with the keyboard alone', async () => {
    await page.reload();
    await page.locator('.gauge-used').waitFor();
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.textContent.trim()')).toBe(
      'Skip to the memory chart',
    );
    const seen: string[] = [];
    const focused =
      'document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent';
    for (let press = 0; press < 200; press += 1) {
      await page.keyboard.press('Tab');
      seen.push(String(await page.evaluate(focused)));
      if (seen.at(-1)?.startsWith('Classify') === true) break;
    }
    const wanted = [
      'by process',
      'Zoom in',
      'Memory over time',
      'Recycle all',
      'Recycle worker-',
      'Classify',
    ];
    for (const name of [...wanted, 'spam']) {
      expect(
        seen.some((of) => of.includes(name)),
        `${name} in ${seen.join(' | ')}`,
      ).toBe(true);
    }
    await page.getByRole('button', { name: /^Colours: system/ }).focus();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Enter');
    expect(await page.evaluate('document.documentElement.dataset.theme')).toBe('dark');
    await page.reload();
    expect(await page.evaluate('document.documentElement.dataset.theme')).toBe('dark');
    await page.keyboard.press('Tab');
    await page.getByRole('button', { name: /^Colours: dark/ }).click();
  });
});
