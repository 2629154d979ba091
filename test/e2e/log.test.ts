/** What stdout may do to a server: fill up, stall, close. It answers, and ends when it is asked to. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { freePort } from '../servers/free-port.js';
import { classify, until } from './harness.js';
import { cleanEnvironment, type Exit, exitOf, MAIN } from './processes.js';

const running = new Set<ChildProcess>();
const folders: string[] = [];

afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

interface Quiet {
  readonly url: string;
  readonly child: ChildProcess;
  readonly exited: Promise<Exit>;
}

/** A server whose log nobody may be able to read: it is found by its port. */
async function startQuiet(format: 'json' | 'pretty', stdout: number | 'pipe'): Promise<Quiet> {
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-log-'));
  folders.push(folder);
  const port = await freePort();
  const settings = [`log.format=${format}`, 'log.level=trace', 'worker.count=1'];
  const args = ['serve', '--port', String(port), '--data', path.join(folder, 'data')];
  for (const setting of settings) args.push('--set', setting);
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: cleanEnvironment(),
    stdio: ['ignore', stdout, 'inherit'],
  });
  running.add(child);
  const url = `http://127.0.0.1:${port}`;
  await until('the server answers', async () => {
    const reply = await fetch(`${url}/health/ready`).catch(() => undefined);
    return reply?.status === 200 ? true : undefined;
  });
  return { url, child, exited: exitOf(child) };
}

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

/** A pipe that is full. The test holds both of its ends. */
function fullPipe(): number {
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-log-'));
  folders.push(folder);
  const file = path.join(folder, 'pipe');
  spawnSync('mkfifo', [file]);
  const pipe = openSync(file, constants.O_RDWR | constants.O_NONBLOCK);
  for (const bytes of [4096, 1]) {
    try {
      for (;;) writeSync(pipe, Buffer.alloc(bytes, ' '));
    } catch {
      // It is full, for pieces of this size.
    }
  }
  return pipe;
}

/** What lies in the pipe now. */
function drain(pipe: number): string {
  const buffer = Buffer.alloc(65_536);
  let text = '';
  try {
    for (;;) text += buffer.toString('utf8', 0, readSync(pipe, buffer));
  } catch {
    return text;
  }
}

/** Requests that write a line each: the sessions that they open and end are told. */
async function writeLines(url: string, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    const { id } = (await (await fetch(`${url}/v1/sessions`, { method: 'POST' })).json()) as {
      readonly id: string;
    };
    await fetch(`${url}/v1/sessions/${id}/end`, { method: 'POST' });
  }
}

describe.each(['json', 'pretty'] as const)('a log in %s', (format) => {
  test('on a full disk: lines are lost and counted, requests are answered, SIGTERM is heeded', async () => {
    const { url, child, exited } = await startQuiet(format, openSync('/dev/full', 'w'));
    expect((await classify({ url }, 'an honest text')).results).toHaveLength(1);
    child.kill('SIGTERM');
    expect(await exited).toEqual({ code: 0, signal: null });
  });

  test('whose reader stands still: the same, and it is written once there is room', async () => {
    const pipe = fullPipe();
    const { url, child, exited } = await startQuiet(format, pipe);
    expect((await classify({ url }, 'an honest text')).results).toHaveLength(1);
    let written = '';
    await until('the lines that waited are written', () => {
      written += drain(pipe);
      return Promise.resolve(written.includes('Plimsoll listens') || undefined);
    });
    child.kill('SIGTERM');
    expect(await exited).toEqual({ code: 0, signal: null });
  });

  test('whose reader stands still until the end: the end is not held up', async () => {
    const { child, exited } = await startQuiet(format, fullPipe());
    child.kill('SIGTERM');
    expect(await exited).toEqual({ code: 0, signal: null });
  });

  test('whose reader has gone: the same', async () => {
    const { url, child, exited } = await startQuiet(format, 'pipe');
    child.stdout?.destroy();
    await writeLines(url, 2);
    expect((await classify({ url }, 'an honest text')).results).toHaveLength(1);
    expect(await metric(url, 'plimsoll_log_lines_lost_total')).toBeGreaterThan(0);
    child.kill('SIGTERM');
    expect(await exited).toEqual({ code: 0, signal: null });
  });
});
