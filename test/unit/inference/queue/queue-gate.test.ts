import { describe, expect, test } from 'vitest';
import { QueueGate } from '../../../../src/inference/queue/queue-gate.js';
import { type WaitingRow, WaitingRows } from '../../../../src/inference/queue/waiting-rows.js';

/** A turn is worth 100 characters: one input. */
function waitingOf(counts: Readonly<Record<string, number>>): WaitingRows<WaitingRow> {
  const waiting = new WaitingRows<WaitingRow>(100);
  for (const [user, count] of Object.entries(counts)) {
    for (let n = 0; n < count; n += 1) waiting.add({ model: 'm', user, size: 100 });
  }
  return waiting;
}

/** Inputs of 100 characters each. */
function inputs(count: number): readonly number[] {
  return Array.from({ length: count }, () => 100);
}

/** 100 characters take 100 ms; 100 inputs may wait, 50 of one user. */
function gate(deadlineMs = 1_000_000): QueueGate {
  const made = new QueueGate({ maxWaiting: 100, maxWaitingOfUser: 50, deadlineMs });
  made.observe('m', inputs(10), 1000);
  return made;
}

const arrival = (user: string, count: number) => ({ model: 'm', user, sizes: inputs(count) });

describe('the gate of the queue', () => {
  test('1: more than can ever wait is wrong, not early', () => {
    const check = () => gate().check(arrival('a', 101), waitingOf({}), 1);
    expect(check).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }));
  });

  test('3: over its share, a user is told when its own work will be done', () => {
    const waiting = waitingOf({ a: 40, b: 10 });
    const check = () => gate().check(arrival('a', 11), waiting, 2);
    expect(check).toThrow(
      expect.objectContaining({ code: 'TOO_MANY_REQUESTS', retryAfterSeconds: 2 }),
    );
    expect(() => gate().check(arrival('a', 10), waiting, 2)).not.toThrow();
  });

  test('3: a large request of a user who has nothing waiting is over no share', () => {
    expect(() => gate().check(arrival('a', 90), waitingOf({ b: 10 }), 1)).not.toThrow();
  });

  test('2: a full queue says when it will be empty, by the measured rate, within bounds', () => {
    const check = (workers: number) => () =>
      gate().check(arrival('c', 30), waitingOf({ a: 45, b: 30 }), workers);
    expect(check(2)).toThrow(expect.objectContaining({ code: 'QUEUE_FULL', retryAfterSeconds: 4 }));
    expect(check(100)).toThrow(expect.objectContaining({ retryAfterSeconds: 1 }));
    const slow = new QueueGate({ maxWaiting: 100, maxWaitingOfUser: 50, deadlineMs: 1 });
    slow.observe('m', [1], 1_000_000);
    const late = () => slow.check(arrival('c', 30), waitingOf({ a: 45, b: 30 }), 1);
    expect(late).toThrow(expect.objectContaining({ retryAfterSeconds: 60 }));
  });

  test('4: an answer that would come too late is refused at once', () => {
    const busy = waitingOf({ a: 20, b: 20 });
    const check = () => gate(2000).check(arrival('c', 10), busy, 1);
    expect(check).toThrow(/request\.deadline_ms is 2000/);
  });

  test('4: one input does not wait for all that a flood has', () => {
    expect(() => gate(700).check(arrival('c', 1), waitingOf({ flood: 90 }), 1)).not.toThrow();
  });

  test('4: a short text waits behind the long ones of others who came before it', () => {
    const others = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`user-${n}`, 1]));
    const short = { model: 'm', user: 'c', sizes: [10] };
    const check = () => gate(2000).check(short, waitingOf(others), 1);
    expect(check).toThrow(/expected after 2310 ms/);
  });

  test('4: before each turn that a user needs, every other one has one', () => {
    const waiting = waitingOf({ flood: 60, a: 1, b: 1 });
    const made = gate();
    // One turn of each of three, and the own input.
    expect(made.expectedMs(arrival('c', 1), waiting, 1)).toBeCloseTo(400);
    // Five turns, before each of which three others have one of 100 ms.
    expect(made.expectedMs(arrival('c', 5), waiting, 1)).toBeCloseTo(2000);
    // The second turn of one who waits already: two others have two.
    expect(made.expectedMs(arrival('a', 1), waiting, 1)).toBeCloseTo(600);
    expect(made.expectedMs(arrival('a', 1), waiting, 2)).toBeCloseTo(350);
  });

  test('4: the last row takes as long as it does, and what runs comes first', () => {
    const waiting = waitingOf({ a: 1 });
    expect(gate().expectedMs(arrival('c', 1), waiting, 4)).toBeCloseTo(100 + 100 / 4);
    expect(gate().check(arrival('c', 1), waiting, 4, 70).ms).toBeCloseTo(70 + 100 + 100 / 4);
  });

  test('4: but not for all the turns of a large request: others may have left by then', () => {
    const waiting = waitingOf({ a: 1, b: 1, flood: 20 });
    const expectedMs = gate().expectedMs(arrival('flood', 50), waiting, 1);
    expect(expectedMs).toBeCloseTo(2000 + 5000 + 2 * 200);
  });

  test('4: who is in debt has to wait for more turns', () => {
    const waiting = waitingOf({ flood: 60 });
    waiting.add({ model: 'm', user: 'c', size: 350 });
    for (let turn = 0; turn < 2; turn += 1) {
      const row = waiting.next(() => false);
      if (row !== undefined) waiting.take(row);
    }
    expect(waiting.countOfUser('c')).toBe(0);
    // 250 characters of debt: the third turn leaves some of its own.
    const expectedMs = gate().expectedMs(arrival('c', 1), waiting, 1);
    expect(expectedMs).toBeCloseTo(100 + 3 * 100);
    waiting.add({ model: 'm', user: 'c', size: 100 });
    let turns = 0;
    for (let row = waiting.next(() => false); row?.user === 'flood'; turns += 1) {
      waiting.take(row);
      row = waiting.next(() => false);
    }
    expect(turns).toBe(3);
  });

  test('4: who is in debt for less than a turn waits for one, however long the text is', () => {
    const waiting = waitingOf({ a: 1, b: 1 });
    const riding = { model: 'm', user: 'c', size: 30 };
    waiting.add(riding);
    waiting.take(riding);
    const long = { model: 'm', user: 'c', sizes: [90] };
    expect(gate().expectedMs(long, waiting, 1)).toBeCloseTo(2 * 100 + 100, -1);
  });

  test('4: with nobody waiting, the deadline itself decides', () => {
    expect(() => gate(500).check(arrival('c', 50), waitingOf({}), 1)).not.toThrow();
  });

  test('what nobody has measured is not refused for its cost', () => {
    const fresh = new QueueGate({ maxWaiting: 100, maxWaitingOfUser: 50, deadlineMs: 1 });
    expect(() => fresh.check(arrival('c', 1), waitingOf({ a: 90 }), 1)).not.toThrow();
  });

  test('what texts cost is learned by their length', () => {
    const made = new QueueGate({ maxWaiting: 100, maxWaitingOfUser: 50, deadlineMs: 1000 });
    // Short texts take ten times as long for a character.
    for (let n = 0; n < 5000; n += 1) {
      made.observe('m', [1000], 10);
      made.observe('m', [100], 10);
    }
    const long = new WaitingRows<WaitingRow>(100);
    for (let n = 0; n < 50; n += 1) long.add({ model: 'm', user: 'a', size: 1000 });
    expect(made.waitingMs(waitingOf({ a: 50 }), 1)).toBeCloseTo(500, -1);
    expect(made.waitingMs(long, 1)).toBeCloseTo(500, -1);
    // A slower machine is slower for both, though it ran only short ones since.
    for (let n = 0; n < 1000; n += 1) made.observe('m', [100], 20);
    expect(made.waitingMs(long, 1)).toBeGreaterThan(800);
  });

  test('a batch that took no time, by two clocks, teaches nothing', () => {
    const made = new QueueGate({ maxWaiting: 100, maxWaitingOfUser: 50, deadlineMs: 1000 });
    for (const ms of [0, -3, Number.NaN]) made.observe('m', inputs(2), ms);
    expect(made.waitingMs(waitingOf({ a: 1 }), 1)).toBe(0);
    made.observe('m', inputs(2), 200);
    made.observe('m', inputs(2), 0);
    expect(made.waitingMs(waitingOf({ a: 1 }), 1)).toBeCloseTo(100);
  });

  test('the last ten seconds of work count: a model that became slower is known to be', () => {
    const made = gate();
    for (let n = 0; n < 100; n += 1) made.observe('m', [100], 300);
    expect(made.waitingMs(waitingOf({ a: 1 }), 1)).toBeGreaterThan(270);
  });

  describe('4: how late answers come', () => {
    // 20 waiting users of 100 ms each and the own input: expected after 2,100 ms.
    const others = waitingOf(
      Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`user-${n}`, 1])),
    );
    const isRefused = (made: QueueGate) => {
      try {
        made.check(arrival('c', 1), others, 1);
        return false;
      } catch {
        return true;
      }
    };
    const learned = (made: QueueGate, times: number, tookMs: (n: number) => number) => {
      for (let n = 0; n < times; n += 1) made.learn({ ms: 1000, octave: 0 }, tookMs(n));
      return made;
    };

    test('is a tenth later as long as nothing was learned', () => {
      expect(isRefused(gate(2300))).toBe(true);
      expect(isRefused(gate(2400))).toBe(false);
    });

    test('is not later than expected once all have come as expected', () => {
      expect(isRefused(learned(gate(2200), 2000, () => 900))).toBe(false);
      // Never is less than the expected time enough.
      expect(isRefused(learned(gate(2000), 10_000, () => 100))).toBe(true);
    });

    test('follows the latest, not the mean: many come early as they run along with others', () => {
      const mixed = (n: number) => (n % 20 === 0 ? 1250 : 300);
      expect(isRefused(learned(gate(2500), 4000, mixed))).toBe(true);
      expect(isRefused(learned(gate(2700), 4000, mixed))).toBe(false);
    });

    test('is never allowed for with more than three tenths', () => {
      expect(isRefused(learned(gate(2700), 1000, () => 1_000_000))).toBe(true);
      expect(isRefused(learned(gate(2800), 1000, () => 1_000_000))).toBe(false);
    });

    test('is learned by length: long texts come later where short ones run along with others', () => {
      const made = gate(2300);
      for (let n = 0; n < 1000; n += 1) made.learn({ ms: 1000, octave: 3 }, 1250);
      for (let n = 0; n < 3000; n += 1) made.learn({ ms: 1000, octave: 0 }, 900);
      expect(isRefused(made)).toBe(false);
      const long = { model: 'm', user: 'c', sizes: [1600] };
      expect(() => made.check(long, others, 1)).toThrow('is expected after');
    });

    test('is not learned from what is expected soon', () => {
      const made = gate(2400);
      for (let n = 0; n < 300; n += 1) made.learn({ ms: 100, octave: 0 }, 2500);
      expect(isRefused(made)).toBe(false);
    });
  });

  describe('a row whose turn has come', () => {
    test('is given up if its batch would end after the deadline', () => {
      // A batch of 100 characters takes 100 ms, and is allowed half as much more.
      expect(gate(2000).isTooLate(1795, 'm', [100])).toBe(false);
      expect(gate(2000).isTooLate(1805, 'm', [100])).toBe(true);
      expect(gate(2000).isTooLate(1700, 'm', [100, 100])).toBe(true);
    });

    test('is not if it has hardly waited: the deadline itself decides', () => {
      expect(gate(100).isTooLate(40, 'm', inputs(10))).toBe(false);
      expect(gate(100).isTooLate(60, 'm', inputs(10))).toBe(true);
    });

    test('is not if nobody knows what its batch takes', () => {
      expect(gate(2000).isTooLate(1990, 'other', inputs(10))).toBe(false);
    });
  });
});
