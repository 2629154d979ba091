import path from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { Recorder, type RecorderOptions } from '../../../src/store/recorder.js';
import type { Row } from '../../../src/store/rows.js';
import { SpillFile } from '../../../src/store/spill-file.js';
import { Store } from '../../../src/store/store.js';
import { PostgresqlServer } from '../../servers/postgresql.js';
import { postgresql } from '../../servers/tools.js';
import { LIMITS, onEveryDatabase, record, session, temporaryFolder } from './databases.js';

const AMPLE = { timeout: 15_000, interval: 10 };

/** A recorder in front of a real store, which a test may take away. */
class Fixture {
  readonly states: string[] = [];
  readonly lost: string[] = [];
  caughtUp = 0;
  /** Set: writes fail with it, or wait for it, as they would without the database. */
  away: (() => Promise<void>) | undefined;
  readonly recorder: Recorder;
  readonly spill: SpillFile;
  readonly #store: Store;

  private constructor(store: Store, spill: SpillFile, changes: Partial<RecorderOptions>) {
    this.#store = store;
    this.spill = spill;
    this.recorder = new Recorder({
      spill,
      write: async (rows) => {
        await this.away?.();
        return store.write(rows);
      },
      flushMs: 10,
      retryMs: 50,
      maxBufferBytes: 2 ** 30,
      onState: (part, reason) => this.states.push(`${part}: ${reason}`),
      onLost: (count, reason) => this.lost.push(`${count}: ${reason}`),
      onCaughtUp: () => {
        this.caughtUp += 1;
      },
      ...changes,
    });
    this.recorder.start();
  }

  static async start(
    store: Store,
    changes: Partial<RecorderOptions> & { readonly file?: string; readonly maxSpill?: number } = {},
  ): Promise<Fixture> {
    const { file = path.join(temporaryFolder(), 'spill'), maxSpill = 2 ** 30, ...more } = changes;
    const spill = SpillFile.open(file, maxSpill);
    const fixture = new Fixture(store, spill, more);
    onTestFinished(() => fixture.recorder.close());
    return fixture;
  }

  add(from: number, to: number): void {
    for (let n = from; n < to; n += 1) this.recorder.add(numbered(n));
  }

  /** Ids in the database, in the order of their time. */
  async ids(): Promise<readonly string[]> {
    const found = await this.#store.reader.listRecords({ limit: 100_000 });
    return found.map(({ id }) => id).reverse();
  }
}

function numbered(n: number): Row {
  return record(`r${n}`, { at_ms: n });
}

function ids(count: number): readonly string[] {
  return Array.from({ length: count }, (_, n) => `r${n}`);
}

const refused = async () => {
  throw new Error('no route to it');
};

onEveryDatabase('the recorder', (fresh) => {
  const open = async () => (await fresh()).open();

  test('brings rows into the database within its time, and has settled when asked to', async () => {
    const fixture = await Fixture.start(await open());
    fixture.add(0, 3);
    await vi.waitFor(async () => expect(await fixture.ids()).toEqual(ids(3)), AMPLE);
    fixture.add(3, 700);
    await fixture.recorder.settled();
    expect(await fixture.ids()).toEqual(ids(700));
    expect(fixture.spill.waitingBytes).toBe(0);
    expect(fixture.states).toEqual([]);
    expect(fixture.caughtUp).toBe(1);
    expect(fixture.recorder.figures).toMatchObject({ bufferedRows: 0, written: 700, lost: 0 });
  });

  test('keeps in the file what the database does not take, and brings it in later, in order', async () => {
    const store = await open();
    const order: string[] = [];
    const fixture = await Fixture.start(store, {
      write: async (rows) => {
        await fixture.away?.();
        order.push(...rows.map(({ values }) => String(values[0])));
        return store.write(rows);
      },
    });
    fixture.away = refused;
    for (let from = 0; from < 1000; from += 100) {
      fixture.add(from, from + 100);
      await vi.waitFor(() => expect(fixture.recorder.figures.bufferedRows).toBe(0), AMPLE);
    }
    expect(fixture.recorder.figures.spilled).toBe(1000);
    expect(fixture.states).toEqual(['database: no route to it']);
    fixture.away = undefined;
    fixture.add(1000, 1500);
    await vi.waitFor(async () => expect(await fixture.ids()).toEqual(ids(1500)), AMPLE);
    await vi.waitFor(() => expect(fixture.spill.waitingBytes).toBe(0), AMPLE);
    expect(order).toEqual(ids(1500));
    expect(fixture.states).toEqual(['database: no route to it', 'database: ']);
    expect(fixture.lost).toEqual([]);
  });

  test('does not wait for a database that hangs', async () => {
    const fixture = await Fixture.start(await open());
    let answer: () => void = () => undefined;
    const hangs = new Promise<void>((resolve) => {
      answer = resolve;
    });
    fixture.away = () => hangs;
    fixture.add(0, 300);
    await vi.waitFor(() => expect(fixture.recorder.figures.spilled).toBe(300), AMPLE);
    fixture.add(300, 310);
    await vi.waitFor(() => expect(fixture.recorder.figures.spilled).toBe(310), AMPLE);
    expect(fixture.states).toEqual(['database: it has not answered for 1000 ms']);
    fixture.away = undefined;
    answer();
    await vi.waitFor(async () => expect(await fixture.ids()).toEqual(ids(310)), AMPLE);
    await vi.waitFor(() => expect(fixture.spill.waitingBytes).toBe(0), AMPLE);
  });

  test('puts into the file what comes faster than the database takes it', async () => {
    const fixture = await Fixture.start(await open(), { maxBufferBytes: 600_000 });
    fixture.away = () => new Promise((resolve) => setTimeout(resolve, 50));
    for (let from = 0; from < 3000; from += 500) {
      fixture.add(from, from + 500);
      const { lost } = fixture.recorder.figures;
      expect(lost).toBe(0);
      await vi.waitFor(
        () => expect(fixture.recorder.figures.bufferedRows).toBeLessThan(700),
        AMPLE,
      );
    }
    await vi.waitFor(async () => expect(await fixture.ids()).toEqual(ids(3000)), AMPLE);
    await vi.waitFor(() => expect(fixture.spill.waitingBytes).toBe(0), AMPLE);
    expect(fixture.recorder.figures.spilled).toBeGreaterThan(0);
    expect(fixture.states).toEqual([]);
  });

  test('leaves to the next start what it cannot write when it closes', async () => {
    const store = await open();
    const file = path.join(temporaryFolder(), 'spill');
    const first = await Fixture.start(store, { file });
    first.away = refused;
    first.add(0, 400);
    await first.recorder.close();
    expect(first.lost).toEqual([]);
    const second = await Fixture.start(store, { file });
    second.add(400, 410);
    await vi.waitFor(() => expect(second.caughtUp).toBe(1), AMPLE);
    expect(await second.ids()).toEqual(ids(410));
  });

  test('loses no row that is added because it fails while it closes', async () => {
    const store = await open();
    const file = path.join(temporaryFolder(), 'spill');
    const first: Fixture = await Fixture.start(store, {
      ...{ file, flushMs: 60_000 },
      onState: () => first.add(1, 2),
    });
    await vi.waitFor(() => expect(first.caughtUp).toBe(1), AMPLE);
    first.away = refused;
    first.add(0, 1);
    await first.recorder.close();
    expect(first.lost).toEqual([]);
    const second = await Fixture.start(store, { file });
    await vi.waitFor(() => expect(second.caughtUp).toBe(1), AMPLE);
    expect(await second.ids()).toEqual(ids(2));
  });

  test('writes all it has into the database when it closes', async () => {
    const store = await open();
    const fixture = await Fixture.start(store, { flushMs: 60_000 });
    fixture.add(0, 600);
    await fixture.recorder.close();
    expect(await fixture.ids()).toEqual(ids(600));
  });

  test('brings in what a file has twice only once, with the last state of a session', async () => {
    const store = await open();
    const file = path.join(temporaryFolder(), 'spill');
    const left = SpillFile.open(file, 2 ** 30);
    const states = [1, 2].map((revision) =>
      session('s', { revision, body: JSON.stringify({ revision }) }),
    );
    left.append([...states, numbered(0), numbered(1), ...states, numbered(0)]);
    await left.close();
    await store.write([session('s', { revision: 3, body: JSON.stringify({ revision: 3 }) })]);
    const fixture = await Fixture.start(store, { file });
    await vi.waitFor(() => expect(fixture.caughtUp).toBe(1), AMPLE);
    expect(await fixture.ids()).toEqual(ids(2));
    expect(await store.reader.findSession('s')).toEqual({ revision: 3 });
  });

  test('waits in memory where the file takes nothing, and tells what is lost beyond it', async () => {
    const fixture = await Fixture.start(await open(), { maxSpill: 0, maxBufferBytes: 40_000 });
    fixture.away = refused;
    fixture.add(0, 1);
    await vi.waitFor(() => expect(fixture.states).toHaveLength(2), AMPLE);
    fixture.add(1, 1000);
    await vi.waitFor(() => expect(fixture.lost).toHaveLength(1), AMPLE);
    const { bufferedRows, lost } = fixture.recorder.figures;
    expect(bufferedRows + lost).toBe(1000);
    expect(bufferedRows).toBeGreaterThan(50);
    expect(lost).toBeGreaterThan(50);
    expect(fixture.lost).toEqual([`${lost}: more wait in memory than records.max_buffer`]);
    expect([...fixture.states].sort()).toEqual([
      'database: no route to it',
      expect.stringMatching(/^file: .*max_spill/),
    ]);
    fixture.away = undefined;
    await vi.waitFor(async () => expect(await fixture.ids()).toEqual(ids(bufferedRows)), AMPLE);
    expect(fixture.states.slice(2).sort()).toEqual(['database: ', 'file: ']);
    fixture.add(1000, 1001);
    await fixture.recorder.settled();
    expect(await fixture.ids()).toEqual([...ids(bufferedRows), 'r1000']);
  });

  test('tells of a row that the database refuses, and goes on with the others', async () => {
    const fixture = await Fixture.start(await open());
    fixture.add(0, 2);
    fixture.recorder.add({ table: 'records', values: numbered(9).values.map(() => null) });
    fixture.add(2, 4);
    await fixture.recorder.settled();
    expect(await fixture.ids()).toEqual(ids(4));
    expect(fixture.lost).toEqual([expect.stringMatching(/^1: the database refuses .*null/i)]);
  });
});

describe.skipIf(postgresql === undefined)('a PostgreSQL that is killed under the recorder', () => {
  test('costs nothing: every row is there once, in order', async () => {
    const server = await PostgresqlServer.start(postgresql);
    onTestFinished(() => server.stop());
    const store = await Store.connect(server.url(), LIMITS);
    onTestFinished(() => store.close());
    const fixture = await Fixture.start(store);
    let count = 0;
    let begun = 0;
    const feeder = setInterval(() => {
      fixture.add(count, count + 5);
      count += 5;
    }, 2);
    onTestFinished(() => clearInterval(feeder));
    for (; begun < 3; begun += 1) {
      const written = fixture.recorder.figures.written;
      await vi.waitFor(
        () => expect(fixture.recorder.figures.written).toBeGreaterThan(written),
        AMPLE,
      );
      await server.kill();
      const before = fixture.recorder.figures.spilled;
      await vi.waitFor(
        () => expect(fixture.recorder.figures.spilled).toBeGreaterThan(before + 200),
        AMPLE,
      );
      await server.restart();
    }
    await vi.waitFor(() => expect(fixture.spill.waitingBytes).toBe(0), AMPLE);
    clearInterval(feeder);
    await fixture.recorder.settled();
    await vi.waitFor(async () => expect(await fixture.ids()).toEqual(ids(count)), AMPLE);
    expect(fixture.lost).toEqual([]);
  }, 60_000);
});
