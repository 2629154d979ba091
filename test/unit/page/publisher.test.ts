import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { EventKind } from '../../../src/contract/events.js';
import { EventPublisher, type Viewer } from '../../../src/page/publisher.js';

const INTERVAL_MS = 1000;

class Page implements Viewer {
  readonly got: { readonly kind: EventKind; readonly message: Buffer }[] = [];
  ended = false;
  stalledMs = 0;

  send(kind: EventKind, message: Buffer): void {
    this.got.push({ kind, message });
  }

  end(): void {
    this.ended = true;
  }

  /** What came, read as a browser would. */
  of(kind: EventKind): readonly unknown[] {
    return this.got
      .filter((piece) => piece.kind === kind)
      .map(({ message }) => {
        const [, event, data] = /^event: (\w+)\ndata: ([^\n]*)\n\n$/.exec(message.toString()) ?? [];
        expect(event).toBe(kind);
        return JSON.parse(data ?? '');
      });
  }
}

function publish(maxViewers = 3) {
  const state = vi.fn(async (): Promise<unknown> => ({ number: state.mock.calls.length }));
  const onError = vi.fn();
  const publisher = new EventPublisher({ maxViewers, intervalMs: INTERVAL_MS, state, onError });
  return { publisher, state, onError };
}

const mark = { kind: 'receipt', text: 'line one\nline two' } as const;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe('the publisher', () => {
  test('makes a state at once and then every second, one for all pages', async () => {
    const { publisher, state } = publish();
    const [one, two] = [new Page(), new Page()];
    publisher.join(one);
    await vi.advanceTimersByTimeAsync(500);
    publisher.join(two);
    await vi.advanceTimersByTimeAsync(1600);
    expect(one.of('state')).toEqual([{ number: 1 }, { number: 2 }, { number: 3 }]);
    expect(two.of('state')).toEqual([{ number: 1 }, { number: 2 }, { number: 3 }]);
    expect(state).toHaveBeenCalledTimes(3);
    expect(two.got[2]?.message).toBe(one.got[2]?.message);
  });

  test('does nothing where no page is open, and begins again with a new state', async () => {
    const { publisher, state } = publish();
    publisher.mark(mark);
    await vi.advanceTimersByTimeAsync(5000);
    expect(state).not.toHaveBeenCalled();
    const leave = publisher.join(new Page());
    await vi.advanceTimersByTimeAsync(1000);
    leave();
    expect(vi.getTimerCount()).toBe(0);
    await vi.advanceTimersByTimeAsync(5000);
    expect(state).toHaveBeenCalledTimes(2);
    const page = new Page();
    publisher.join(page);
    await vi.advanceTimersByTimeAsync(0);
    expect(page.of('state')).toEqual([{ number: 3 }]);
  });

  test('keeps one clock when the last page goes while a state is made and another comes', async () => {
    const { publisher, state } = publish();
    const leave = publisher.join(new Page());
    await vi.advanceTimersByTimeAsync(0);
    let finish: (value: unknown) => void = () => undefined;
    state.mockImplementationOnce(() => new Promise((resolve) => (finish = resolve)));
    await vi.advanceTimersByTimeAsync(INTERVAL_MS);
    leave();
    const page = new Page();
    publisher.join(page);
    finish({ number: 'late' });
    await vi.advanceTimersByTimeAsync(0);
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(3 * INTERVAL_MS);
    expect(vi.getTimerCount()).toBe(1);
    expect(page.of('state').length).toBeLessThanOrEqual(5);
  });

  test('sends marks at once, with ids that rise, each as one line', async () => {
    const { publisher } = publish();
    const page = new Page();
    publisher.join(page);
    publisher.mark(mark);
    publisher.mark(mark);
    const marks = page.of('mark') as { readonly id: number }[];
    expect(marks).toEqual([
      { ...mark, id: expect.any(Number), at: new Date().toISOString() },
      { ...mark, id: (marks[0]?.id ?? 0) + 1, at: new Date().toISOString() },
    ]);
  });

  test('takes so many pages and no more, until one goes', () => {
    const { publisher } = publish(2);
    const leave = publisher.join(new Page());
    publisher.join(new Page());
    expect(() => publisher.join(new Page())).toThrow(/2 pages are open/);
    leave();
    publisher.join(new Page());
    expect(publisher.viewerCount).toBe(2);
  });

  test('gives the place of a page that does not read to a new one, at once', () => {
    const { publisher } = publish(3);
    const [one, slow, slower] = [new Page(), new Page(), new Page()];
    for (const page of [one, slow, slower]) publisher.join(page);
    slow.stalledMs = 5000;
    slower.stalledMs = 6000;
    publisher.join(new Page());
    expect([one.ended, slow.ended, slower.ended]).toEqual([false, false, true]);
    expect(publisher.viewerCount).toBe(3);
  });

  test('lets the page that has been open longest give way, once each has had its time', async () => {
    const { publisher } = publish(2);
    const [first, second] = [new Page(), new Page()];
    publisher.join(first);
    await vi.advanceTimersByTimeAsync(1000);
    publisher.join(second);
    await vi.advanceTimersByTimeAsync(8000);
    expect(() => publisher.join(new Page())).toThrow(/2 pages are open/);
    await vi.advanceTimersByTimeAsync(1000);
    const third = new Page();
    publisher.join(third);
    expect([first.ended, second.ended]).toEqual([true, false]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(third.of('state').length).toBeGreaterThan(0);
    const before = first.got.length;
    await vi.advanceTimersByTimeAsync(3000);
    expect(first.got).toHaveLength(before);
  });

  test('says that it is alive, also when no state can be made, and logs that once', async () => {
    const { publisher, state, onError } = publish();
    const page = new Page();
    publisher.join(page);
    await vi.advanceTimersByTimeAsync(15 * INTERVAL_MS);
    const beats = () => page.got.filter(({ kind }) => kind === 'heartbeat');
    expect(beats().map(({ message }) => message.toString())).toEqual([
      expect.stringMatching(/^: .+\n\n$/),
    ]);
    state.mockRejectedValue(new Error('no reading'));
    await vi.advanceTimersByTimeAsync(3 * INTERVAL_MS);
    expect(beats()).toHaveLength(4);
    expect(onError).toHaveBeenCalledTimes(1);
  });

  test('ends every stream when it closes, and begins none', async () => {
    const { publisher, state } = publish();
    const page = new Page();
    publisher.join(page);
    await vi.advanceTimersByTimeAsync(0);
    publisher.close();
    expect(page.ended).toBe(true);
    expect(() => publisher.join(new Page())).toThrow(/stopping/);
    await vi.advanceTimersByTimeAsync(5 * INTERVAL_MS);
    expect(state).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
  });
});
