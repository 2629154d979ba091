/** Faster forms of a model, held against fp32 when it is prepared and while it serves. */
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Answer } from '../../src/contract/classify.js';
import type { ModelDetail } from '../../src/contract/models.js';
import type { Receipts } from '../../src/contract/receipts.js';
import { chromium } from '../servers/tools.js';
import { Browser, findLayoutFaults, findViolations, panel, shootPart } from './browser.js';
import { get, post, type Server, startServer, temporaryFolder, until } from './harness.js';

const FOLDERS = fileURLToPath(new URL('../fixtures/reference', import.meta.url));
const EXACT = 1e-3;
/** Such small models gain nothing by integers: here only the answers decide. `q8-fine` is off by up to 0.064. */
const BOUNDS = {
  ...{ 'models.dtype': 'auto', 'verify.speedup': 0, 'verify.shift': 0.1 },
  'cache.max_size': 0,
};

interface Expected {
  readonly texts: readonly string[];
  readonly scores: readonly Readonly<Record<string, number>>[];
}

let models: string;
let server: Server;
const modelOf = (id: string) => get<ModelDetail>(server, `/v1/models/${id}`);

async function expectedOf(id: string): Promise<Expected> {
  return JSON.parse(await readFile(path.join(FOLDERS, id, 'expected.json'), 'utf8')) as Expected;
}

/** Largest difference of a score from what the model's own library says in fp32. */
async function differenceOf(id: string): Promise<number> {
  const { texts, scores } = await expectedOf(id);
  const body = { model: id, inputs: texts };
  const { results } = await post<Answer>(server, '/v1/classify', body);
  const each = results.flatMap((result, row) =>
    result.map(({ label, score }) => Math.abs(score - (scores[row]?.[label] ?? Number.NaN))),
  );
  return Math.max(...each);
}

beforeAll(async () => {
  models = await temporaryFolder();
  for (const id of ['q8-fine', 'q8-noise']) {
    await cp(path.join(FOLDERS, id), path.join(models, id), { recursive: true });
    await rm(path.join(models, id, 'expected.json'));
  }
  server = await startServer({ models, settings: BOUNDS });
});

afterAll(() => server.stop());

describe('the verdict', () => {
  test('a shipped q8 that answers otherwise does not serve, and that is told', async () => {
    expect(await differenceOf('q8-noise')).toBeLessThan(0.1);
    const { form, verdict } = await modelOf('q8-noise');
    expect(form).not.toMatch(/^q8 /);
    const shipped = verdict?.candidates.find((candidate) => candidate.form.startsWith('q8 '));
    expect(shipped).toMatchObject({ outcome: 'refused', reason: expect.stringMatching(/fp32/) });
    const { receipts } = await get<Receipts>(server, '/v1/receipts?kind=verdict');
    expect(receipts.map(({ actions }) => actions[0]?.model)).toContain('q8-noise');
  });

  test('a shipped q8 that agrees may serve', async () => {
    expect(await differenceOf('q8-fine')).toBeLessThan(0.1);
    const { form, form_reason: reason, verdict } = await modelOf('q8-fine');
    expect(reason).toBeTruthy();
    const shipped = verdict?.candidates.find((candidate) => candidate.form.startsWith('q8 '));
    // Of several that agree the fastest serves: which one that is depends on the machine.
    expect(shipped?.outcome).toMatch(/^(used|verified)$/);
    expect(shipped?.labels_percent).toBeGreaterThanOrEqual(99.5);
    expect(verdict?.candidates.find((candidate) => candidate.form === form)?.outcome).toBe('used');
  });

  test.skipIf(chromium === undefined)(
    'the page shows which forms were tried, and why one was refused',
    async () => {
      const { verdict } = await modelOf('q8-noise');
      const refused = verdict?.candidates.find(({ outcome }) => outcome === 'refused');
      const browser = await Browser.start();
      const page = await browser.open(server);
      const models = panel(page, 'Models');
      await models.getByRole('button', { name: 'q8-noise', exact: true }).click();
      const tried = models.getByRole('list', { name: 'Forms that were tried' });
      const line = tried
        .getByRole('listitem')
        .filter({ hasText: refused?.form ?? 'none' })
        .first();
      await line.waitFor();
      const text = (await line.textContent()) ?? '';
      expect(text).toContain(`refused: ${refused?.reason}`);
      expect(text).toMatch(/% of \d+ labels as in fp32, largest shift 0\.\d{3}/);
      expect(await findLayoutFaults(page)).toEqual([]);
      expect(await findViolations(page)).toEqual([]);
      await shootPart(models, 'model-verdict');
      // So does its receipt among the events.
      const events = panel(page, 'Events');
      const entry = events.getByRole('button', { name: /verdict of q8-noise: fp32 serves/ });
      await entry.first().click();
      await events.getByRole('list', { name: 'Forms that were tried' }).waitFor();
      expect(await findViolations(page)).toEqual([]);
      await browser.close();
      expect(browser.faults).toEqual([]);
    },
  );

  test('is kept over a restart; live inputs that disagree take the model back to fp32', async () => {
    await server.stop();
    const mapped = path.join(server.data, 'mapped');
    const names = await readdir(mapped, { recursive: true });
    const kept = names.filter((name) => /^q8-fine.*verdict\.json$/.test(name));
    expect(kept).toHaveLength(1);
    const file = path.join(mapped, kept[0] ?? '');
    const verdict = JSON.parse(await readFile(file, 'utf8')) as { bounds: { shift: number } };
    // As if it had been judged by texts that are kinder than those that come.
    verdict.bounds.shift = 1e-9;
    await writeFile(file, JSON.stringify(verdict));
    const live = { 'verify.every': 1, 'verify.count': 50 };
    server = await startServer({ models, data: server.data, settings: { ...BOUNDS, ...live } });
    const { texts } = await expectedOf('q8-fine');
    let at = 0;
    await until('fp32 serves', async () => {
      const inputs = texts[at++ % texts.length] ?? '';
      await post<Answer>(server, '/v1/classify', { model: 'q8-fine', inputs });
      return (await modelOf('q8-fine')).form === 'fp32';
    });
    expect((await modelOf('q8-fine')).form_reason).toMatch(/live inputs/);
    expect(await differenceOf('q8-fine')).toBeLessThan(EXACT);
    const { receipts } = await get<Receipts>(server, '/v1/receipts?kind=verdict');
    expect(receipts[0]?.actions[0]).toMatchObject({ action: 'fp32 serves', model: 'q8-fine' });
  });
});
