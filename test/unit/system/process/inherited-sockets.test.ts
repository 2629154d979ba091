import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import {
  inheritedDescriptors,
  socketAddress,
} from '../../../../src/system/process/inherited-sockets.js';
import { cFunction } from '../../../../src/system/process/libc.js';

test.each([
  [{}, []],
  [{ LISTEN_FDS: '1' }, []],
  [{ LISTEN_PID: '8', LISTEN_FDS: '1' }, []],
  [{ LISTEN_PID: '7', LISTEN_FDS: '0' }, []],
  [{ LISTEN_PID: '7', LISTEN_FDS: '3' }, [3, 4, 5]],
])('of %j process 7 takes %j', (environment, descriptors) => {
  expect(inheritedDescriptors(environment, 7)).toEqual(descriptors);
});

test.each([undefined, '', '-1', '1.5', '65', 'two'])('LISTEN_FDS %j is refused', (written) => {
  expect(() => inheritedDescriptors({ LISTEN_PID: '7', LISTEN_FDS: written }, 7)).toThrow(
    /LISTEN_FDS/,
  );
});

test('the address of a socket is read as the kernel writes it', async () => {
  const getsockname = cFunction(
    'int getsockname(int descriptor, _Out_ uint8_t *address, _Inout_ uint32_t *length)',
  );
  expect(getsockname).toBeDefined();
  for (const host of ['127.0.0.1', '0.0.0.0', '::1', '::']) {
    const server = createServer();
    onTestFinished(() => void server.close());
    server.listen({ host, port: 0 });
    await once(server, 'listening');
    const handle: object = Reflect.get(server, '_handle');
    const bytes = new Uint8Array(128);
    getsockname?.(Number(Reflect.get(handle, 'fd')), bytes, new Uint32Array([128]));
    expect(socketAddress(bytes)).toBe(host);
  }
  expect(socketAddress(new Uint8Array([1, 0, 47]))).toBe('localhost');
  expect(socketAddress(new Uint8Array([16, 0]))).toBe('0.0.0.0');
});
