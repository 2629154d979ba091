import { describe, expect, it } from 'vitest';
import { TurnQueue } from '../../../../src/memory/actions/turn-queue.js';

/** Work that the test ends. */
function work(name: string, done: string[]) {
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const start = async () => {
    done.push(`${name} starts`);
    await ended;
    done.push(`${name} ends`);
    return name;
  };
  return { start, end };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('turns', () => {
  it('are taken one after the other, those first that somebody waits for', async () => {
    const queue = new TurnQueue();
    const done: string[] = [];
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => work(name, done));
    const outcomes = [
      queue.run(a?.start ?? (async () => ''), false),
      queue.run(b?.start ?? (async () => ''), false),
    ];
    await settle();
    outcomes.push(queue.run(c?.start ?? (async () => ''), true));
    outcomes.push(queue.run(d?.start ?? (async () => ''), true));
    for (const { end } of [a, b, c, d].flatMap((of) => (of === undefined ? [] : [of]))) end();
    expect(await Promise.all(outcomes)).toEqual(['a', 'b', 'c', 'd']);
    const starts = done.filter((line) => line.endsWith('starts'));
    expect(starts).toEqual(['a starts', 'c starts', 'd starts', 'b starts']);
    // Never two at once.
    for (const [index, line] of done.entries()) {
      expect(line.endsWith(index % 2 === 0 ? 'starts' : 'ends')).toBe(true);
    }
  });

  it('go on after one that fails', async () => {
    const queue = new TurnQueue();
    const failing = queue.run(() => Promise.reject(new Error('no')));
    const next = queue.run(async () => 'next');
    await expect(failing).rejects.toThrow('no');
    expect(await next).toBe('next');
  });

  it('are settled when nothing runs or waits, that which was asked for meanwhile included', async () => {
    const queue = new TurnQueue();
    await queue.settled();
    const done: string[] = [];
    void queue.run(async () => {
      done.push('a');
      void queue.run(async () => void done.push('b'));
    });
    await queue.settled();
    expect(done).toEqual(['a', 'b']);
  });
});
