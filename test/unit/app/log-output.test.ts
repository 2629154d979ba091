import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { LogOutput, openLogDescriptor } from '../../../src/app/log-output.js';

const MB = 2 ** 20;
const lossLine = (lost: number) => `lost ${lost}`;
let folder: string;
const open: number[] = [];

function keep(fd: number): number {
  open.push(fd);
  return fd;
}

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-log-'));
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
  for (const fd of open.splice(0)) closeSync(fd);
  rmSync(folder, { recursive: true });
});

/** A named pipe, with both ends open. Nobody reads it but {@link drain}. */
function pipe(): { readonly reader: number; readonly writer: number } {
  const file = path.join(folder, 'pipe');
  expect(spawnSync('mkfifo', [file]).status).toBe(0);
  const reader = keep(openSync(file, constants.O_RDONLY | constants.O_NONBLOCK));
  return { reader, writer: keep(openSync(file, 'w')) };
}

/** What lies in the pipe now. */
function drain(reader: number): string {
  const buffer = Buffer.alloc(65_536);
  let text = '';
  for (;;) {
    try {
      const read = readSync(reader, buffer);
      if (read === 0) return text;
      text += buffer.toString('utf8', 0, read);
    } catch (error) {
      expect(error).toMatchObject({ code: 'EAGAIN' });
      return text;
    }
  }
}

test('lines go into a file as they come, behind what it has', () => {
  const file = path.join(folder, 'log');
  const output = new LogOutput({ fd: openLogDescriptor(keep(openSync(file, 'a'))), lossLine });
  output.write('one\n');
  output.write('two\n');
  expect(readFileSync(file, 'utf8')).toBe('one\ntwo\n');
});

describe('a pipe that nobody reads', () => {
  test('does not block; what fits waits, the rest is counted and told', async () => {
    const { reader, writer } = pipe();
    const output = new LogOutput({ fd: keep(openLogDescriptor(writer)), lossLine });
    const line = `${'x'.repeat(1023)}\n`;
    const count = 3 * 1024;
    for (let n = 0; n < count; n += 1) output.write(line);
    expect(output.lostLines).toBeGreaterThan(0);
    // At most the buffer and what the kernel's pipe holds are kept.
    expect((count - output.lostLines) * line.length).toBeLessThan(1.2 * MB);
    let text = '';
    for (let n = 0; n < 100; n += 1) {
      text += drain(reader);
      await vi.advanceTimersByTimeAsync(100);
    }
    text += drain(reader);
    const lost = output.lostLines;
    expect(text).toBe(`${line.repeat(count - lost)}lost ${lost}\n`);
    output.write('again\n');
    expect(drain(reader)).toBe('again\n');
    expect(output.lostLines).toBe(lost);
  });

  test('holds up the end of the process for a moment only', () => {
    const { writer } = pipe();
    const output = new LogOutput({ fd: keep(openLogDescriptor(writer)), lossLine });
    for (let n = 0; n < 200; n += 1) output.write(`${'x'.repeat(1023)}\n`);
    vi.useRealTimers();
    output.end();
    output.write('after the end\n');
    expect(output.lostLines).toBe(1);
  });
});

test('a full disk: lines wait, then are lost, and are tried again once a second', async () => {
  const full = keep(openSync('/dev/full', 'w'));
  const output = new LogOutput({ fd: keep(openLogDescriptor(full)), lossLine });
  const line = `${'x'.repeat(MB / 4 - 1)}\n`;
  for (let n = 0; n < 6; n += 1) output.write(line);
  expect(output.lostLines).toBe(2);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(output.lostLines).toBe(2);
});

test('a reader that has gone: lines are counted, nothing throws', () => {
  const { reader, writer } = pipe();
  const output = new LogOutput({ fd: keep(openLogDescriptor(writer)), lossLine });
  output.write('one\n');
  closeSync(open.splice(open.indexOf(reader), 1)[0] ?? -1);
  output.write('two\n');
  output.write('three\n');
  expect(output.lostLines).toBe(2);
});
