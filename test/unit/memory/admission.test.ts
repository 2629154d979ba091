import { describe, expect, it } from 'vitest';
import { PlimsollError } from '../../../src/errors.js';
import { LoadAdmission } from '../../../src/memory/admission.js';

const MB = 2 ** 20;

function admission(loadMb: number, lineMb: number) {
  const memory = { loadBytes: loadMb * MB, lineBytes: lineMb * MB };
  const evictions: { needed: number; model: string; done: () => void }[] = [];
  const admit = new LoadAdmission({
    figures: () => memory,
    makeRoom: (needed, model) =>
      new Promise((done) => {
        evictions.push({ needed, model, done });
      }),
  });
  return { admit, memory, evictions };
}

const need = (privateMb: number, mappedMb = 10, model = 'm') => ({
  model,
  privateBytes: privateMb * MB,
  mappedBytes: mappedMb * MB,
});

describe('admission of loads', () => {
  it('admits what fits', () => {
    const { admit } = admission(100, 200);
    expect(admit.ask(need(100)).state).toBe('admitted');
  });

  it('counts what earlier loads were promised until a reading shows it', () => {
    const { admit } = admission(100, 200);
    const first = admit.ask(need(60));
    expect(admit.ask(need(60)).state).toBe('wait');
    if (first.state === 'admitted') first.settle();
    // The load has ended, but the last reading is older than it.
    expect(admit.promisedBytes).toBe(60 * MB);
    admit.readingTaken();
    expect(admit.promisedBytes).toBe(0);
    expect(admit.ask(need(60)).state).toBe('admitted');
  });

  it('keeps the promise of a load that is still running over a reading', () => {
    const { admit } = admission(100, 200);
    admit.ask(need(60));
    admit.readingTaken();
    expect(admit.promisedBytes).toBe(60 * MB);
  });

  it('says what would not fit even alone, whatever is in use', () => {
    const { admit, evictions } = admission(190, 200);
    expect(admit.neverFits(need(200, 200))).toBeUndefined();
    for (const over of [need(201), need(10, 201)]) {
      expect(admit.neverFits(over)?.message).toMatch(/the load line is 200\.0 MB, .* even alone/);
    }
    expect(evictions).toHaveLength(0);
  });

  it('asks for as much room as is missing, once for all who wait', async () => {
    const { admit, memory, evictions } = admission(190, 200);
    const first = admit.ask(need(30));
    const second = admit.ask(need(30, 10, 'other'));
    expect(evictions).toHaveLength(1);
    expect(evictions[0]).toMatchObject({ needed: 20 * MB, model: 'm' });
    expect(first.state === 'wait' && second.state === 'wait').toBe(true);
    memory.loadBytes = 100 * MB;
    evictions[0]?.done();
    if (first.state === 'wait') await first.changed;
    expect(admit.ask(need(30)).state).toBe('admitted');
  });

  it('tells those who wait the figures', () => {
    const { admit } = admission(190, 200);
    const waiting = admit.ask(need(30));
    if (waiting.state !== 'wait') throw new Error('admitted without room');
    expect(waiting.refusal.code).toBe('INSUFFICIENT_MEMORY');
    expect(waiting.refusal.message).toContain('30.0 MB');
    expect(waiting.refusal.message).toContain('190.0 MB');
    expect(waiting.refusal.message).toContain('200.0 MB');
  });

  it('refuses for good what would not fit even alone', () => {
    const { admit, evictions } = admission(0, 200);
    expect(() => admit.ask(need(20, 201))).toThrow(PlimsollError);
    expect(() => admit.ask(need(20, 201))).toThrow(/201\.0 MB.*20\.0 MB.*200\.0 MB/);
    expect(() => admit.ask(need(201, 20))).toThrow(/even alone/);
    expect(admit.ask(need(150, 180)).state).toBe('admitted');
    expect(evictions).toHaveLength(0);
  });
});

describe('admission of preparing', () => {
  const preparing = (peakMb: number, heldMb = () => 0) => ({
    model: 'm',
    peakBytes: peakMb * MB,
    heldBytes: () => heldMb() * MB,
  });

  it('promises the peak, less what readings show already', async () => {
    const { admit } = admission(100, 200);
    let heldMb = 0;
    const settle = await admit.askToPrepare(preparing(80, () => heldMb));
    expect(admit.promisedBytes).toBe(80 * MB);
    expect(admit.ask(need(30)).state).toBe('wait');
    heldMb = 70;
    expect(admit.promisedBytes).toBe(10 * MB);
    heldMb = 90;
    expect(admit.promisedBytes).toBe(0);
    settle();
    admit.readingTaken();
    heldMb = 0;
    expect(admit.promisedBytes).toBe(0);
  });

  it('refuses for good, with figures and remedy, what the line could never take', async () => {
    const { admit, evictions } = admission(0, 200);
    await expect(admit.askToPrepare(preparing(201))).rejects.toMatchObject({
      code: 'INSUFFICIENT_MEMORY',
      message: expect.stringMatching(/201\.0 MB.*200\.0 MB.*models --prepare.*memory\.load_line/),
      retryAfterSeconds: undefined,
    });
    expect(evictions).toEqual([]);
  });

  it('evicts idle models once, and takes the room that is there then', async () => {
    const { admit, memory, evictions } = admission(150, 200);
    const asked = admit.askToPrepare(preparing(80));
    expect(evictions).toMatchObject([{ needed: 30 * MB, model: 'm' }]);
    memory.loadBytes = 110 * MB;
    evictions[0]?.done();
    (await asked)();
  });

  it('refuses for now when that was not enough', async () => {
    const { admit, evictions } = admission(150, 200);
    const asked = admit.askToPrepare(preparing(80));
    evictions[0]?.done();
    await expect(asked).rejects.toMatchObject({
      code: 'INSUFFICIENT_MEMORY',
      message: expect.stringMatching(/80\.0 MB.*150\.0 MB of.*200\.0 MB/),
      retryAfterSeconds: 5,
    });
    expect(evictions).toHaveLength(1);
  });
});
