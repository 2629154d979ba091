import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { Recorder } from '../../../src/store/recorder.js';
import { SpillFile } from '../../../src/store/spill-file.js';
import { Store } from '../../../src/store/store.js';
import { temporaryFolder } from './databases.js';

const AMPLE = { timeout: 60_000, interval: 5 };
const MB = 2 ** 20;

/** How the database behaves while one step is played. */
type Mode = 'up' | 'slow' | 'away';

interface Step {
  readonly mode: Mode;
  /** Requests that are answered at the same time. */
  readonly requests: number;
  readonly inputs: number;
  readonly characters: number;
}

const sizes = fc.constantFrom(0, 20, 4096, 60_000, 400_000, 1_500_000);
const step: fc.Arbitrary<Step> = fc
  .record({
    mode: fc.constantFrom<Mode>('up', 'slow', 'away'),
    requests: fc.integer({ min: 1, max: 4 }),
    inputs: fc.constantFrom(1, 3, 16, 64, 600),
    characters: sizes,
  })
  // Some MB in a step are enough: limits of memory are smaller.
  .filter(({ requests, inputs, characters }) => requests * inputs * characters < 12 * MB);

const runs = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 6 }),
  maxBufferBytes: fc.constantFrom(65_536, 500_000, 4 * MB),
  fileTakesRows: fc.boolean(),
});

/** A recorder in front of a real database and a real file. */
class World {
  mode: Mode = 'up';
  added = 0;
  told = 0;
  readonly recorder: Recorder;
  readonly spill: SpillFile;
  readonly #store: Store;

  constructor(store: Store, maxBufferBytes: number, maxSpillBytes: number) {
    this.#store = store;
    this.spill = SpillFile.open(path.join(temporaryFolder(), 'spill'), maxSpillBytes);
    this.recorder = new Recorder({
      spill: this.spill,
      write: async (rows) => {
        if (this.mode === 'slow') await new Promise((resolve) => setTimeout(resolve, 5));
        if (this.mode === 'away') throw new Error('no route to it');
        return store.write(rows);
      },
      ...{ flushMs: 5, retryMs: 10, maxBufferBytes },
      onState: () => undefined,
      onLost: (count) => {
        this.told += count;
      },
      onCaughtUp: () => undefined,
    });
    this.recorder.start();
  }

  /** One request: all its records in one turn, then its answer waits for room. */
  async request(run: string, inputs: number, characters: number): Promise<void> {
    for (let index = 0; index < inputs; index += 1) {
      const request = this.added;
      this.added += 1;
      this.recorder.addClassified({
        ...{ run, request, index, atMs: request, session: 's', userHash: 'u', model: 'm' },
        ...{ inputHash: 'h', label: 'l', score: 0.5, ms: 1, tier: null },
        input: characters === 0 ? null : 'x'.repeat(characters),
      });
    }
    await this.recorder.room;
  }

  async finish(run: string): Promise<number> {
    this.mode = 'up';
    await vi.waitFor(() => {
      expect(this.recorder.figures.bufferedRows + this.spill.waitingBytes).toBe(0);
    }, AMPLE);
    await this.recorder.close();
    const kept = await this.#store.reader.listRecords({ label: 'l', limit: 100_000 });
    return kept.filter(({ id }) => id.startsWith(`${run}.`)).length;
  }
}

describe('whatever the sizes, the speeds and the outages', () => {
  test('no record is lost while database or file takes rows, and what is lost is counted', async () => {
    const store = await Store.open(temporaryFolder());
    onTestFinished(() => store.close());
    let number = 0;
    await fc.assert(
      fc.asyncProperty(runs, async ({ steps, maxBufferBytes, fileTakesRows }) => {
        number += 1;
        const run = `run${number}`;
        const world = new World(store, maxBufferBytes, fileTakesRows ? 2 ** 40 : 0);
        for (const { mode, requests, inputs, characters } of steps) {
          world.mode = mode;
          const asked = Array.from({ length: requests }, () =>
            world.request(run, inputs, characters),
          );
          await Promise.all(asked);
        }
        const kept = await world.finish(run);
        const { lost } = world.recorder.figures;
        expect(kept + lost).toBe(world.added);
        expect(world.told).toBe(lost);
        if (fileTakesRows || steps.every(({ mode }) => mode !== 'away')) expect(lost).toBe(0);
        await store.prune({ rows: { records: 0 }, beforeMs: 0 });
      }),
      { numRuns: 30 },
    );
  }, 300_000);

  test.each([
    ['1,024 inputs of 4 KB', 1024, 4096],
    ['16 inputs of 1.5 MB', 16, 1_500_000],
  ])('one request of %s fits into 8 MB of memory', async (_what, inputs, characters) => {
    const store = await Store.open(temporaryFolder());
    onTestFinished(() => store.close());
    const world = new World(store, 8 * MB, 2 ** 30);
    await world.request('run', inputs, characters);
    expect(world.recorder.figures.lost).toBe(0);
    expect(world.spill.waitingBytes).toBeGreaterThan(3 * MB);
    expect(await world.finish('run')).toBe(inputs);
  });

  test('without a file an answer waits for room, and memory has it again afterwards', async () => {
    const store = await Store.open(temporaryFolder());
    onTestFinished(() => store.close());
    const world = new World(store, 65_536, 0);
    world.mode = 'slow';
    const answer = world.request('run', 100, 4096);
    let isGiven = false;
    void answer.then(() => {
      isGiven = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isGiven).toBe(false);
    await answer;
    expect(world.recorder.room).toBeUndefined();
    expect(await world.finish('run')).toBe(100);
    expect(world.recorder.figures.lost).toBe(0);
  });

  test('an answer does not wait for a database that fails', async () => {
    const store = await Store.open(temporaryFolder());
    onTestFinished(() => store.close());
    const world = new World(store, 65_536, 0);
    world.mode = 'away';
    await world.request('run', 100, 4096);
    expect(world.recorder.reasons.database).not.toBe('');
    await world.request('run', 100, 4096);
    const { lost } = world.recorder.figures;
    expect(lost).toBeGreaterThan(0);
    expect(await world.finish('run')).toBe(200 - lost);
  });
});
