import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { PlimsollError } from '../../../../src/errors.js';
import { type MappedForm, MappedForms } from '../../../../src/models/compile/mapped-form.js';
import { Preparer, type PreparerOptions } from '../../../../src/models/compile/preparer.js';
import { isDueAgain, unfinishedVerdict } from '../../../../src/models/compile/verify/verdict.js';
import type { Model } from '../../../../src/models/intake/repository.js';
import { DEFAULT_BOUNDS } from '../default-bounds.js';
import { aModel } from '../described.js';
import { temporaryFolder, write } from '../folders.js';

type Behaviour = Readonly<Record<'write' | 'verify' | 'measure' | 'shift', string>>;

class Fixture {
  readonly root = temporaryFolder();
  readonly forms = new MappedForms(path.join(this.root, 'data'), 'runtime');
  readonly measured: MappedForm[] = [];
  readonly replaced: string[] = [];
  readonly preparer: Preparer;

  constructor(changes: Partial<PreparerOptions> = {}) {
    this.preparer = this.next(changes);
  }

  /** Another server on the same data folder. */
  next(changes: Partial<PreparerOptions> = {}): Preparer {
    const preparer = new Preparer({
      forms: this.forms,
      module: fileURLToPath(new URL('../../../fixtures/preparers/obedient.mjs', import.meta.url)),
      timeoutMs: 60_000,
      threads: 1,
      batchItems: 4,
      batchTokens: 64,
      rowBudget: () => ({ bytes: 2 ** 30, ms: 60_000 }),
      admit: async () => () => undefined,
      onReplaced: (_model, reason) => this.replaced.push(reason),
      onMeasured: (_model, form) => this.measured.push(form),
      log: () => undefined,
      ...changes,
    });
    onTestFinished(() => preparer.stop());
    return preparer;
  }

  model(id: string, behaviour: Partial<Behaviour> = {}, signature = 'signature-1'): Model {
    const directory = path.join(this.root, id);
    write(directory, { 'behaviour.json': behaviour });
    return aModel(id, { directory, signature, sourceBytes: 100 });
  }

  /** What the throw-away processes did, in order. */
  get jobs(): readonly string[] {
    const file = path.join(this.root, 'jobs.log');
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  }

  get begun(): readonly string[] {
    return this.jobs.filter((line) => line.startsWith('begin'));
  }

  gate(): { readonly behaviour: string; reached: () => Promise<void>; open: () => void } {
    const file = path.join(temporaryFolder(), 'open');
    return {
      behaviour: `gate ${file}`,
      reached: () => until(() => existsSync(`${file}.waits`)),
      open: () => writeFileSync(file, ''),
    };
  }
}

async function until(condition: () => boolean): Promise<void> {
  await vi.waitUntil(condition, { timeout: 10_000, interval: 5 });
}

describe('a comparison that ended early', () => {
  const verification = { bounds: DEFAULT_BOUNDS, shipped: [], hasProbes: false };
  const verifies = (fixture: Fixture) =>
    fixture.begun.filter((line) => line.startsWith('begin verify')).length;
  const killed = async () => {
    const fixture = new Fixture({ verifyBudgetMs: 1000 });
    const model = { ...fixture.model('m', { verify: 'kill' }), verification };
    const form = await fixture.preparer.ensure(model);
    expect(form.verdict).toMatchObject({ serves: 'reference', again: { attempts: 1 } });
    await fixture.preparer.measured();
    return { fixture, model, form };
  };

  test('is made again at once when it gets another time, and holds then', async () => {
    const { fixture, model, form } = await killed();
    expect((await fixture.preparer.ensure(model)).instance).toBe(form.instance);
    expect(verifies(fixture)).toBe(1);
    write(model.directory, { 'behaviour.json': {} });
    const next = fixture.next({ verifyBudgetMs: 60_000 });
    const found = await next.ensure(model);
    expect(verifies(fixture)).toBe(2);
    expect(found.instance).not.toBe(form.instance);
    expect(found.verdict?.reason).toBe('no faster form was verified');
    expect(found.verdict?.again).toBeUndefined();
    await next.measured();
    const later = fixture.next({ verifyBudgetMs: 1000 });
    expect((await later.ensure(model)).instance).toBe(found.instance);
    expect(verifies(fixture)).toBe(2);
  });

  test('is made again after a pause, and counts its attempts', async () => {
    const { fixture, model } = await killed();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 11 * 60_000 });
    onTestFinished(() => void vi.useRealTimers());
    const found = await fixture.next({ verifyBudgetMs: 1000 }).ensure(model);
    expect(verifies(fixture)).toBe(2);
    expect(found.verdict?.again).toEqual({ budgetMs: 1000, attempts: 2 });
  });

  test('leaves the form that is there where it cannot be made again', async () => {
    const { fixture, model, form } = await killed();
    write(model.directory, { 'behaviour.json': { write: 'refuse' } });
    const next = fixture.next({ verifyBudgetMs: 60_000 });
    expect((await next.ensure(model)).instance).toBe(form.instance);
    expect(next.failureOf(model)).toBeUndefined();
  });
});

test.each([
  [1, 9, false],
  [1, 10, true],
  [2, 39, false],
  [2, 40, true],
  [20, 7 * 24 * 60 - 1, false],
  [20, 7 * 24 * 60, true],
])('after %i attempts, %i minutes later: due again is %s', (attempts, minutes, isDue) => {
  const verdict = unfinishedVerdict(DEFAULT_BOUNDS, 'killed', 1000);
  const again = { ...verdict, atMs: 0, again: { budgetMs: 1000, attempts } };
  expect(isDueAgain(again, 1000, minutes * 60_000)).toBe(isDue);
});

describe('preparing', () => {
  test('writes the form, measures it, and tells of each measurement', async () => {
    const fixture = new Fixture();
    const form = await fixture.preparer.ensure(fixture.model('m'));
    expect(form.digest).toBe('digest of m');
    expect(form.footprint).toMatchObject({ loadMs: 12, privateAfterLoadBytes: 1000 });
    await until(() => fixture.measured.length === 3);
    expect(fixture.measured[2]?.footprint).toEqual({
      sourceBytes: 100,
      mappedBytes: 'graph'.length,
      prepackedBytes: 0,
      loadMs: 12,
      privateAfterLoadBytes: 1000,
      arenaSpeedup: 1,
      privateAfterBatchBytes: 2000,
      peakBytes: 3000,
      hot: { shiftMs: 40, savedMsPerRun: 2, peakBytes: 4000 },
    });
    expect(fixture.measured[1]?.footprint).not.toHaveProperty('hot');
    expect(fixture.begun).toEqual(['begin write m', 'begin measure m', 'begin shift m']);
    await until(() => fixture.preparer.pids.length === 0);
  });

  test('is not done again for a form that is there, also by the next server', async () => {
    const fixture = new Fixture();
    const model = fixture.model('m');
    const { directory } = await fixture.preparer.ensure(model);
    await until(() => fixture.measured.length === 3);
    expect((await fixture.preparer.ensure(model)).directory).toBe(directory);
    const next = new Fixture({ forms: fixture.forms });
    expect((await next.preparer.ensure(model)).footprint.hot?.peakBytes).toBe(4000);
    expect(fixture.begun).toHaveLength(3);
  });

  test('is shared by those who ask at once', async () => {
    const fixture = new Fixture();
    const model = fixture.model('m');
    const forms = await Promise.all([1, 2, 3].map(() => fixture.preparer.ensure(model)));
    expect(new Set(forms).size).toBe(1);
    expect(fixture.begun).toHaveLength(2);
  });

  test('is done for one model after the other, also after one that failed', async () => {
    const fixture = new Fixture();
    const gate = fixture.gate();
    const first = fixture.preparer.ensure(fixture.model('a', { write: gate.behaviour }));
    await gate.reached();
    const others = [
      fixture.preparer.ensure(fixture.model('b', { write: 'refuse' })),
      fixture.preparer.ensure(fixture.model('c')),
      fixture.preparer.ensure(fixture.model('d')),
    ];
    const ends = Promise.allSettled(others);
    expect(fixture.preparer.pids).toHaveLength(1);
    expect(fixture.begun).toEqual(['begin write a']);
    gate.open();
    await first;
    expect((await ends).map(({ status }) => status)).toEqual([
      'rejected',
      'fulfilled',
      'fulfilled',
    ]);
    const writes = fixture.jobs.filter((line) => line.includes(' write '));
    expect(writes).toHaveLength(8);
    for (const [index, line] of writes.entries()) {
      if (index % 2 === 1) expect(line).toBe(writes[index - 1]?.replace('begin', 'end'));
    }
  });

  test('that dies in its full batch still gives the form, without that figure', async () => {
    const fixture = new Fixture();
    const form = await fixture.preparer.ensure(fixture.model('m', { measure: 'kill-batch' }));
    expect(form.footprint.loadMs).toBe(12);
    await until(() => fixture.preparer.pids.length === 0);
    expect(fixture.measured).toHaveLength(1);
    expect(form.footprint.peakBytes).toBeUndefined();
  });

  test('that dies while it shifts still gives the rest', async () => {
    const fixture = new Fixture();
    await fixture.preparer.ensure(fixture.model('m', { shift: 'kill' }));
    await fixture.preparer.measured();
    expect(fixture.measured).toHaveLength(2);
    expect(fixture.measured[1]?.footprint.peakBytes).toBe(3000);
  });
});

describe('a form that is there', () => {
  test('is found by its digest when the files look new, as after a copy', async () => {
    const fixture = new Fixture();
    const { directory } = await fixture.preparer.ensure(fixture.model('m'));
    await fixture.preparer.measured();
    const next = new Fixture({
      forms: new MappedForms(path.join(fixture.root, 'data'), 'runtime'),
    });
    const copied = fixture.model('m', {}, 'signature of the copy');
    expect((await next.preparer.ensure(copied)).directory).toBe(directory);
    expect(fixture.begun.filter((line) => line.startsWith('begin write'))).toHaveLength(1);
    expect(fixture.begun).toContain('begin digest m');
  });

  test('is checked once in a run; one that has changed is made anew, and told of', async () => {
    const fixture = new Fixture();
    const model = fixture.model('m');
    const old = await fixture.preparer.ensure(model);
    await fixture.preparer.measured();
    writeFileSync(old.graphFile, 'GRAPH');
    const next = new Fixture({ forms: fixture.forms });
    // The sizes are right: it is used until its contents have been read.
    expect((await next.preparer.ensure(model)).instance).toBe(old.instance);
    await until(() => next.replaced.length > 0);
    expect(next.replaced).toEqual(['model.onnx has changed']);
    await until(() => !existsSync(old.directory));
    const fresh = await next.preparer.ensure(model);
    expect(fresh.instance).not.toBe(old.instance);
    expect(readFileSync(fresh.graphFile, 'utf8')).toBe('graph');
    await next.preparer.measured();
    expect(next.replaced).toHaveLength(1);
  });

  test.each([
    ['cut', (form: MappedForm) => writeFileSync(form.graphFile, 'g'), /1 bytes instead of 5/],
    ['emptied', (form: MappedForm) => rmSync(form.graphFile), /model.onnx is missing/],
    [
      'without its manifest',
      (form: MappedForm) => rmSync(path.join(form.directory, 'manifest.json')),
      /manifest.json is missing/,
    ],
  ])('and was %s is made anew before it is used', async (_case, damage, reason) => {
    const fixture = new Fixture();
    const model = fixture.model('m');
    const old = await fixture.preparer.ensure(model);
    await fixture.preparer.measured();
    damage(old);
    expect((await fixture.preparer.ensure(model)).instance).not.toBe(old.instance);
    expect(fixture.replaced).toEqual([expect.stringMatching(reason)]);
  });
});

test('two servers prepare a model once', async () => {
  const fixture = new Fixture();
  const data = path.join(fixture.root, 'data');
  const other = new Fixture({ forms: new MappedForms(data, 'runtime') });
  const model = fixture.model('m');
  const forms = await Promise.all([fixture.preparer.ensure(model), other.preparer.ensure(model)]);
  expect(forms[0].instance).toBe(forms[1].instance);
  expect(fixture.begun.filter((line) => line.startsWith('begin write'))).toHaveLength(1);
  expect(fixture.replaced).toEqual([]);
});

test('a failure of the disk is not the model’s: it is tried again after a while', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const fixture = new Fixture();
  const model = fixture.model('m', { write: 'disk' });
  const tried = () => fixture.begun.length;
  const failing = () => expect(fixture.preparer.ensure(model)).rejects;
  await failing().toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryAfterSeconds: 1 });
  await failing().toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryAfterSeconds: 1 });
  expect(tried()).toBe(1);
  expect(fixture.preparer.failureOf(model)).toBeUndefined();
  vi.advanceTimersByTime(1001);
  await failing().toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryAfterSeconds: 2 });
  expect(tried()).toBe(2);
  vi.advanceTimersByTime(2001);
  fixture.model('m');
  expect((await fixture.preparer.ensure(model)).digest).toBe('digest of m');
});

describe('a failure', () => {
  test.each([
    ['refused', { write: 'refuse' }, 'refused on purpose'],
    ['refused when it was measured', { measure: 'refuse' }, 'refused on purpose'],
    ['ended without a word', { write: 'exit' }, 'ended without a result (exit code 9)'],
  ])('is remembered until the files change: %s', async (_case, behaviour, message) => {
    const fixture = new Fixture();
    const failing = fixture.preparer.ensure(fixture.model('m', behaviour));
    await expect(failing).rejects.toMatchObject({ code: 'MODEL_UNUSABLE' });
    await expect(failing).rejects.toThrow(message);
    const count = fixture.begun.length;
    await expect(fixture.preparer.ensure(fixture.model('m', behaviour))).rejects.toThrow(message);
    expect(fixture.begun).toHaveLength(count);
    const mended = fixture.model('m', {}, 'signature-2');
    expect((await fixture.preparer.ensure(mended)).digest).toBe('digest of m');
  });

  test('for lack of room is not remembered, starts nothing, and lets the next one in', async () => {
    const refusal = new PlimsollError('INSUFFICIENT_MEMORY', 'no room now');
    let hasRoom = false;
    const running: string[] = [];
    const fixture = new Fixture({
      admit: async ({ id }) => {
        if (!hasRoom) throw refusal;
        running.push(id);
        return () => void running.splice(running.indexOf(id), 1);
      },
    });
    await expect(fixture.preparer.ensure(fixture.model('m'))).rejects.toBe(refusal);
    expect(fixture.jobs).toEqual([]);
    hasRoom = true;
    expect((await fixture.preparer.ensure(fixture.model('m'))).digest).toBe('digest of m');
    const failing = fixture.preparer.ensure(fixture.model('broken', { write: 'kill' }));
    await expect(failing).rejects.toMatchObject({ code: 'INSUFFICIENT_MEMORY' });
    expect(running).toEqual([]);
  });

  test('leaves no partial form behind', async () => {
    const fixture = new Fixture();
    const model = fixture.model('m', { measure: 'exit' });
    await expect(fixture.preparer.ensure(model)).rejects.toThrow();
    expect(readdirSync(fixture.forms.folderOf(model))).toEqual(['.lock']);
  });

  test.each(['write', 'measure'])('for lack of memory (%s) is not remembered', async (job) => {
    const fixture = new Fixture();
    const failing = fixture.preparer.ensure(fixture.model('m', { [job]: 'kill' }));
    await expect(failing).rejects.toMatchObject({ code: 'INSUFFICIENT_MEMORY' });
    expect((await fixture.preparer.ensure(fixture.model('m'))).digest).toBe('digest of m');
  });

  test('to end in time is one of the model if it computed all the time', async () => {
    const fixture = new Fixture({ timeoutMs: 1500 });
    const failing = fixture.preparer.ensure(fixture.model('m', { write: 'burn' }));
    await expect(failing).rejects.toMatchObject({ code: 'MODEL_UNUSABLE' });
    await expect(failing).rejects.toThrow('prepare.timeout_ms');
    expect(fixture.preparer.pids).toEqual([]);
  });

  test('to end in time is one of the disk if it waited, and is tried again', async () => {
    const fixture = new Fixture({ timeoutMs: 3000 });
    const failing = fixture.preparer.ensure(fixture.model('m', { write: 'hang' }));
    await expect(failing).rejects.toMatchObject({
      ...{ code: 'STORAGE_UNAVAILABLE', retryable: true },
      message: expect.stringContaining('waited for the disk'),
    });
    expect(fixture.preparer.failureOf(fixture.model('m'))).toBeUndefined();
    const again = fixture.model('m', { write: 'ok' });
    const ensure = () => fixture.preparer.ensure(again).catch(() => undefined);
    await vi.waitUntil(async () => (await ensure())?.digest === 'digest of m', {
      ...{ timeout: 20_000, interval: 100 },
    });
  });
});

test('stop ends what runs, and begins nothing more', async () => {
  const fixture = new Fixture();
  const gate = fixture.gate();
  const running = fixture.preparer.ensure(fixture.model('a', { write: gate.behaviour }));
  await gate.reached();
  const waiting = fixture.preparer.ensure(fixture.model('b'));
  const ends = Promise.allSettled([running, waiting]);
  fixture.preparer.stop();
  fixture.preparer.stop();
  for (const end of await ends) {
    expect(end).toMatchObject({ status: 'rejected', reason: { code: 'SHUTTING_DOWN' } });
  }
  expect(fixture.begun).toEqual(['begin write a']);
  expect(fixture.preparer.pids).toEqual([]);
});
