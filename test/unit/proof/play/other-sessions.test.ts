import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { ProofClient } from '../../../../src/proof/play/client.js';
import { OtherSessions } from '../../../../src/proof/play/other-sessions.js';

interface Listed {
  readonly id: string;
  readonly state: string;
  readonly requests: number;
}

/** A server that lists these sessions, and a clock that the test moves. */
async function follow(list: () => readonly Listed[] | undefined) {
  const server = http.createServer((_request, response) => {
    const sessions = list();
    response.writeHead(sessions === undefined ? 404 : 200);
    response.end(JSON.stringify({ sessions }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const client = new ProofClient({
    ...{ url: `http://127.0.0.1:${port}`, requestTimeoutMs: 5000, connections: 1 },
  });
  const clock = { nowMs: 0 };
  const stop = new AbortController();
  onTestFinished(() => {
    stop.abort();
    client.close();
    server.close();
  });
  const others = new OtherSessions({ client, stop: stop.signal, now: () => clock.nowMs });
  return { others, clock, stop };
}

const session = (id: string, requests: number, state = 'open'): Listed => ({ id, state, requests });

test('a session is at work for some seconds after its count of requests has grown', async () => {
  let listed = [session('own', 80), session('other', 3), session('past', 9, 'ended')];
  const { others, clock } = await follow(() => listed);
  expect(await others.busy('own')).toBe(1);
  clock.nowMs = 5900;
  expect(await others.busy('own')).toBe(1);
  clock.nowMs = 6100;
  expect(await others.busy('own')).toBe(0);
  listed = [session('own', 160), session('other', 4, 'ending'), session('new', 0)];
  expect(await others.busy('own')).toBe(1);
  listed = [session('own', 160), session('new', 1)];
  expect(await others.busy('own')).toBe(1);
  clock.nowMs = 12_200;
  expect(await others.busy('own')).toBe(0);
});

test('a proof waits until the others are at rest, and tells once that it waits', async () => {
  const { others, clock } = await follow(() => {
    clock.nowMs += 2000;
    return [session('ambient', 1)];
  });
  const onWait = vi.fn();
  await others.quiet(onWait);
  expect(onWait.mock.calls).toEqual([[1]]);
  // First seen at 2 s, at rest after 6 s more.
  expect(clock.nowMs).toBe(10_000);
});

test('it does not wait for ever, nor where nobody is, nor after a stop', async () => {
  let requests = 0;
  const busy = await follow(() => {
    busy.clock.nowMs += 5000;
    requests += 1;
    return [session('other', requests)];
  });
  await busy.others.quiet(() => undefined);
  expect(busy.clock.nowMs).toBe(20_000);
  for (const listed of [undefined, []]) {
    const { others } = await follow(() => listed);
    const onWait = vi.fn();
    await others.quiet(onWait);
    expect(onWait).not.toHaveBeenCalled();
  }
  const stopped = await follow(() => [session('other', 1)]);
  const waiting = stopped.others.quiet(() => stopped.stop.abort());
  await waiting;
});
