import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chromium } from '../servers/tools.js';
import { Browser, findLayoutFaults, findViolations, panel } from './browser.js';
import { type Server, startServer, temporaryFolder } from './harness.js';

const READ = `plim_${'r'.repeat(10)}0123456789abcdefghijklmnop`;
const MANAGE = `plim_${'m'.repeat(10)}0123456789abcdefghijklmnop`;
let server: Server;
let browser: Browser;

describe.skipIf(chromium === undefined)('the page of a server that asks for keys', () => {
  beforeAll(async () => {
    const file = path.join(await temporaryFolder(), 'keys');
    writeFileSync(file, `viewer read ${READ}\nops manage ${MANAGE}\n`, { mode: 0o600 });
    server = await startServer({ settings: { 'keys.file': file } });
    browser = await Browser.start();
  });

  afterAll(async () => {
    await browser?.close();
    expect(browser?.faults ?? []).toEqual([]);
  });

  test('asks for one, keeps it for the tab, and its stream and its actions send it', async () => {
    const page = await browser.openAnyway(server, { width: 360, height: 780 });
    const field = page.getByLabel('Key', { exact: true });
    await field.waitFor();
    expect(await findLayoutFaults(page)).toEqual([]);
    expect(await findViolations(page)).toEqual([]);
    await field.fill('plim_wrong');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('does not know the key').waitFor();
    await field.fill(READ);
    await page.keyboard.press('Enter');
    // The first figures come through the stream.
    await page.locator('.gauge-used').waitFor();
    const box = panel(page, 'Try it');
    await box.getByRole('textbox').fill('Hello');
    await box.getByRole('button', { name: 'Classify' }).click();
    await box.getByRole('alert').getByText('lacks the scope "classify"').waitFor();
    await page.reload();
    await page.locator('.gauge-used').waitFor();
    await page.getByRole('button', { name: 'Forget the key' }).click();
    await page.getByLabel('Key', { exact: true }).fill(MANAGE);
    await page.keyboard.press('Enter');
    await page.locator('.gauge-used').waitFor();
    await panel(page, 'Try it').getByRole('textbox').fill('Hello');
    await panel(page, 'Try it').getByRole('button', { name: 'Classify' }).click();
    await panel(page, 'Try it').getByText('ham', { exact: true }).first().waitFor();
    const another = await browser.openAnyway(server);
    await another.getByLabel('Key', { exact: true }).waitFor();
    expect(await page.evaluate('JSON.stringify(localStorage)')).toBe('{}');
    expect(await page.evaluate('document.cookie')).toBe('');
    await another.close();
    await page.close();
  });
});
