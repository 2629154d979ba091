import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HubServer } from '../servers/hub.js';
import { chromium } from '../servers/tools.js';
import { Browser, findLayoutFaults, findViolations, panel, row, shoot } from './browser.js';
import { type Server, startServer, temporaryFolder } from './harness.js';
import { filesOfModel } from './hub-files.js';

const FILES = filesOfModel('control');
/** Beside the weights, and large enough for the hub to stop half way. */
const EXTRA = 'onnx/model.onnx_data';
let hub: HubServer;
let server: Server;
let browser: Browser;

describe.skipIf(chromium === undefined)('the box that fetches a model', () => {
  beforeAll(async () => {
    hub = await HubServer.start(new Map([...FILES, [EXTRA, randomBytes(6_000_000)]]));
    hub.faults.stopsAfterBytes = 2_000_000;
    const environment = { HF_ENDPOINT: hub.endpoint, HF_HOME: await temporaryFolder() };
    server = await startServer({ settings: { 'hub.pull': 'true' }, environment });
    browser = await Browser.start();
  });

  afterAll(async () => {
    await browser?.close();
    await hub?.stop();
    expect(browser?.faults ?? []).toEqual([]);
  });

  test('says what is wrong with an id, and what the hub answers', async () => {
    const page = await browser.open(server);
    const box = panel(page, 'Fetch a model');
    await box.getByLabel('A model of the hub').fill('../x');
    await box.getByRole('button', { name: 'Fetch' }).click();
    await box.getByRole('alert').getByText('write it as org/name').waitFor();
    await box.getByLabel('A model of the hub').fill('org/other');
    await page.keyboard.press('Enter');
    await box.getByText('the hub has no such model').waitFor();
    await box.getByRole('status').getByText('org/other failed').waitFor({ state: 'attached' });
    await page.close();
  });

  test('shows how far a model is, cancels it, and then serves it, without a mouse', async () => {
    const page = await browser.open(server, { width: 360, height: 780 });
    const box = panel(page, 'Fetch a model');
    await box.getByLabel('A model of the hub').fill('org/name');
    await page.keyboard.press('Enter');
    await box.getByRole('progressbar', { name: 'Fetched of org/name' }).waitFor();
    await box.getByText(/^2\.0 of 5\.8 MB/).waitFor();
    expect(await findLayoutFaults(page)).toEqual([]);
    expect(await findViolations(page)).toEqual([]);
    await shoot(page, 'fetch-360');
    await box.getByRole('button', { name: 'Cancel org/name' }).focus();
    await page.keyboard.press('Enter');
    await box.getByText('cancelled', { exact: true }).waitFor();
    delete hub.faults.stopsAfterBytes;
    await box.getByLabel('A model of the hub').fill('org/name');
    await page.keyboard.press('Enter');
    await box.getByText('is served', { exact: true }).waitFor();
    await row(page, 'Models in the repository', 'org/name').waitFor();
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.emulateMedia({ colorScheme: 'dark' });
    expect(await findLayoutFaults(page)).toEqual([]);
    expect(await findViolations(page)).toEqual([]);
    await shoot(page, 'fetch-1280');
    await page.close();
  });

  test('is not there where it is not allowed', async () => {
    const other = await startServer();
    const page = await browser.open(other);
    await panel(page, 'Try it').waitFor();
    expect(await panel(page, 'Fetch a model').count()).toBe(0);
    await page.close();
    await other.stop();
  });
});
