/** Priorities are the kernel's own: where it does not let them be raised again, they must stay as they are. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import os from 'node:os';
import { expect, onTestFinished, test } from 'vitest';
import { WorkerPool } from '../../../../src/inference/workers/pool.js';
import { Worker } from '../../../../src/inference/workers/worker.js';
import { Unhurried } from '../../../../src/system/priority.js';
import { fixture, handle, newGate } from './workers.js';

const LONG_MS = 60_000;

/** Nice values of all threads of a process: the 19th field of stat, of which the second may have blanks. */
function niceValues(pid: number): readonly number[] {
  const folder = `/proc/${pid}/task`;
  return readdirSync(folder).map((thread) => {
    const fields = readFileSync(`${folder}/${thread}/stat`, 'utf8').split(') ')[1]?.split(' ');
    return Number(fields?.[16]);
  });
}

async function aProcess(): Promise<number> {
  const child = spawn(process.execPath, ['-e', 'process.send(1); setInterval(() => {}, 9e4)'], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child, 'message');
  return child.pid ?? 0;
}

async function mayRaise(): Promise<boolean> {
  const pid = await aProcess();
  os.setPriority(pid, os.getPriority() + 1);
  try {
    os.setPriority(pid, os.getPriority());
    return true;
  } catch {
    return false;
  }
}

const own = os.getPriority();

test('a successor starts at a low priority, and has its full one when it takes over', async () => {
  const lowered = (await mayRaise()) ? Math.min(19, own + 10) : own;
  const pool = new WorkerPool({
    count: 1,
    module: fixture('echo'),
    startTimeoutMs: LONG_MS,
    restartBackoffMs: LONG_MS,
    graceMs: LONG_MS,
    onChange: () => undefined,
    onDeath: () => undefined,
    log: () => undefined,
  });
  onTestFinished(() => pool.stop());
  await pool.start();
  const [first] = pool.workers;
  if (first === undefined) throw new Error('there is no worker');
  expect(new Set(niceValues(first.pid ?? 0))).toEqual(new Set([own]));

  let meanwhile: readonly number[] = [];
  const second = await pool.replace(first, 'start first', async (fresh) => {
    meanwhile = niceValues(fresh.pid ?? 0);
  });
  expect(meanwhile[0]).toBe(lowered);
  expect(new Set(niceValues(second.pid ?? 0))).toEqual(new Set([own]));

  const third = await pool.replace(second, 'leave first', async () => undefined);
  expect(new Set(niceValues(third.pid ?? 0))).toEqual(new Set([own]));
});

test('so does a worker that shifts, while another one answers', async () => {
  const lowered = (await mayRaise()) ? Math.min(19, own + 10) : own;
  const worker = new Worker({
    ...{ id: 'worker-1', module: fixture('echo'), startTimeoutMs: LONG_MS },
    onExit: () => undefined,
  });
  onTestFinished(() => worker.kill());
  await worker.started();
  const gate = newGate();
  await worker.load(handle(gate.input));
  const shift = worker.shift(gate.input, LONG_MS);
  await gate.reached();
  expect(niceValues(worker.pid ?? 0)[0]).toBe(lowered);
  gate.open();
  await shift;
  expect(new Set(niceValues(worker.pid ?? 0))).toEqual(new Set([own]));
});

test('of a process that is gone nothing is asked', async () => {
  const pid = await aProcess();
  const priority = new Unhurried(pid);
  priority.lower();
  process.kill(pid, 'SIGKILL');
  await expect.poll(() => threadCount(pid)).toBe(0);
  expect(() => priority.restore()).not.toThrow();
  expect(() => new Unhurried(pid).lower()).not.toThrow();
  // The one that asks keeps its own.
  expect(os.getPriority()).toBe(own);
  expect(niceValues(process.pid)[0]).toBe(own);
});

function threadCount(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`).length;
  } catch {
    return 0;
  }
}
