import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TcpProxy } from '../../../../../src/proof/play/disturb/tcp-proxy.js';

let echo: net.Server;
let proxy: TcpProxy;
beforeEach(async () => {
  echo = net.createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  proxy = await TcpProxy.start('127.0.0.1', (echo.address() as AddressInfo).port);
});
afterEach(async () => {
  await proxy.cut();
  echo.close();
});

async function said(socket: net.Socket, text: string): Promise<string> {
  socket.write(text);
  const [data] = await once(socket, 'data');
  return String(data);
}

async function connected(): Promise<net.Socket> {
  const socket = net.connect(proxy.port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

test('passes bytes both ways; cut, it ends what was open and refuses what comes; mended, it is there again', async () => {
  const { port } = proxy;
  const first = await connected();
  expect(await said(first, 'one')).toBe('one');
  const closed = once(first, 'close');
  first.on('error', () => undefined);
  await proxy.cut();
  await closed;
  await expect(connected()).rejects.toThrow(/ECONNREFUSED/);
  await proxy.mend();
  expect(proxy.port).toBe(port);
  const second = await connected();
  expect(await said(second, 'two')).toBe('two');
  second.destroy();
});
