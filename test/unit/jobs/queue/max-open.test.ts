import { expect, test } from 'vitest';
import { onEveryEngine } from './engines.js';
import { ExampleWork, job, whenEnded } from './example-work.js';

onEveryEngine((fresh) => {
  test('more open jobs than jobs.max_open are refused; one that is open is answered, and the end of one makes room', async () => {
    const queue = await (await fresh()).open('a', { maxOpen: 2 });
    await queue.add(job('j1'));
    await queue.add(job('j2'));
    const refused = { code: 'TOO_MANY_JOBS', status: 503, retryAfterSeconds: 30 };
    await expect(queue.add(job('j3'))).rejects.toMatchObject(refused);
    await expect(queue.add(job('j3'))).rejects.toThrow('jobs.max_open');
    expect(await queue.find('j3')).toBeUndefined();
    expect(await queue.add(job('j1'))).toMatchObject({ id: 'j1', state: 'waiting' });
    expect(await queue.cancel('j2')).toMatchObject({ state: 'cancelled' });
    expect(await queue.add(job('j3'))).toMatchObject({ id: 'j3', state: 'waiting' });
    // What has ended is opened again only where there is room, too.
    await expect(queue.retry('j2')).rejects.toMatchObject(refused);
    await expect(queue.add(job('j2'))).rejects.toMatchObject(refused);
    expect(await queue.find('j2')).toMatchObject({ state: 'cancelled' });
    queue.work(new ExampleWork('a', 1), 1);
    await whenEnded(queue, 'j1');
    await whenEnded(queue, 'j3');
    await expect.poll(async () => (await queue.backlog()).jobs).toBe(0);
    await queue.retry('j2');
    expect(await whenEnded(queue, 'j2')).toMatchObject({ state: 'done' });
  }, 60_000);
});
