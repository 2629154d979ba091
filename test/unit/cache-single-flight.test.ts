import { describe, expect, it } from 'vitest';
import { SingleFlight } from '../../src/cache/single-flight.js';

const forever = new AbortController();

/** A computation whose ending the test decides. */
function held() {
  const calls: (readonly string[])[] = [];
  let resolve: (values: readonly string[]) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<readonly string[]>((onValues, onError) => {
    resolve = onValues;
    reject = onError;
  });
  const compute = (keys: readonly string[]) => {
    calls.push(keys);
    return promise;
  };
  return { calls, compute, resolve, reject };
}

/** Answers at once, and remembers what it was asked. */
function instant() {
  const calls: (readonly string[])[] = [];
  const compute = async (keys: readonly string[]) => {
    calls.push(keys);
    return keys.map((key) => `instant ${key}`);
  };
  return { calls, compute };
}

describe('single flight', () => {
  it('computes a key once for concurrent requests and for repetitions in one', async () => {
    const flight = new SingleFlight<string>();
    const first = held();
    const second = instant();
    const leading = flight.run(['a', 'a', 'b'], forever, first.compute);
    const joining = flight.run(['b', 'c'], forever, second.compute);
    first.resolve(['A', 'B']);
    expect(await leading).toEqual(['A', 'A', 'B']);
    expect(await joining).toEqual(['B', 'instant c']);
    expect(first.calls).toEqual([['a', 'b']]);
    expect(second.calls).toEqual([['c']]);
    expect(flight.size).toBe(0);
  });

  it('lets one of those who still wait compute what a caller that left began', async () => {
    const flight = new SingleFlight<string>();
    const caller = new AbortController();
    const first = held();
    const [second, third] = [instant(), instant()];
    const leading = flight.run(['a'], caller, first.compute);
    const others = [second, third].map(({ compute }) => flight.run(['a'], forever, compute));
    caller.abort(new Error('left'));
    first.reject(new Error('left'));
    await expect(leading).rejects.toThrow('left');
    expect(await Promise.all(others)).toEqual([['instant a'], ['instant a']]);
    expect([...second.calls, ...third.calls]).toEqual([['a']]);
  });

  it('shares a failure neither with those who wait nor with later ones', async () => {
    const flight = new SingleFlight<string>();
    const first = held();
    const second = instant();
    const leading = flight.run(['a'], forever, first.compute);
    const joining = flight.run(['a'], forever, second.compute);
    first.reject(new Error('queue full'));
    await expect(leading).rejects.toThrow('queue full');
    expect(await joining).toEqual(['instant a']);
    expect(await flight.run(['a'], forever, second.compute)).toEqual(['instant a']);
    expect(second.calls).toHaveLength(2);
  });

  it('lets a caller that only waits leave without harm to the others', async () => {
    const flight = new SingleFlight<string>();
    const caller = new AbortController();
    const first = held();
    const leading = flight.run(['a'], forever, first.compute);
    const joining = flight.run(['a'], caller, instant().compute);
    caller.abort(new Error('left'));
    await expect(joining).rejects.toThrow('left');
    first.resolve(['A']);
    expect(await leading).toEqual(['A']);
  });
});
