import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { listen } from '../../../../src/http/wire/listening.js';
import { builtServer } from '../built-server.js';

const PLACE = { host: '127.0.0.1', port: 0, descriptors: [], backlog: 16 };
let socket: string;

beforeEach(() => {
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-socket-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  socket = path.join(folder, 'plimsoll.sock');
});

function statusAt(socketPath: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { host: 'localhost' };
    request({ socketPath, path: '/health/live', headers }, (incoming) => {
      incoming.resume().once('end', () => resolve(incoming.statusCode));
    })
      .once('error', reject)
      .end();
  });
}

test('a Unix socket is for its owner and group, and answers', async () => {
  await listen(await builtServer(), { ...PLACE, socket });
  expect(statSync(socket).mode & 0o777).toBe(0o660);
  expect(await statusAt(socket)).toBe(200);
});

test('one that a killed server left is taken over, one that somebody answers at is not', async () => {
  // A process that ends without closing leaves the file.
  const leave = `require('node:net').createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['--eval', leave]);
  expect(statSync(socket).isSocket()).toBe(true);
  await listen(await builtServer(), { ...PLACE, socket });
  expect(await statusAt(socket)).toBe(200);
  await expect(listen(await builtServer(), { ...PLACE, socket })).rejects.toThrow(/EADDRINUSE/);
  expect(await statusAt(socket)).toBe(200);
});

test('something else at the path is refused and stays', async () => {
  writeFileSync(socket, 'notes');
  await expect(listen(await builtServer(), { ...PLACE, socket })).rejects.toThrow(/is no socket/);
  expect(statSync(socket).size).toBe(5);
});

test('a descriptor that is no listening socket is refused, with what a unit needs', async () => {
  const place = { ...PLACE, socket: '', descriptors: [9999] };
  await expect(listen(await builtServer(), place)).rejects.toThrow(/LISTEN_FDS.*Accept=no/);
});
