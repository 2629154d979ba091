/** A server over TLS on sockets that were opened for it, as systemd does: one of TCP and one of Unix. */
import { once } from 'node:events';
import {
  copyFileSync,
  linkSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import https from 'node:https';
import { type AddressInfo, createServer, type Server as Listener } from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { childrenOf, type Server, startServer, temporaryFolder, until } from './harness.js';

const fixture = (name: string) =>
  fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url));
const [ONE, TWO] = ['one.plimsoll.test', 'two.plimsoll.test'];

let server: Server;
let cert: string;
let key: string;
let port: number;
let unixPath: string;
/** A request that was sent before the server listened. */
let early: Promise<number>;

async function listening(where: object): Promise<Listener> {
  const listener = createServer();
  listener.listen(where);
  await once(listener, 'listening');
  return listener;
}

/** Asks over TLS; the certificate is looked at by the tests themselves. */
function ask(where: object, address: string, body?: object): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = { ...where, path: address, agent: false, rejectUnauthorized: false };
    const headers = { host: 'localhost', 'content-type': 'application/json' };
    const method = body === undefined ? 'GET' : 'POST';
    const outgoing = https.request({ ...options, method, headers }, (incoming) => {
      incoming.resume().once('end', () => resolve(incoming.statusCode ?? 0));
    });
    outgoing.once('error', reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** The name in the certificate that a new connection gets. */
async function nameNow(): Promise<string> {
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return String(subject.CN);
}

beforeAll(async () => {
  const folder = await temporaryFolder();
  [cert, key, unixPath] = ['cert.pem', 'key.pem', 'kept.sock'].map((name) =>
    path.join(folder, name),
  ) as [string, string, string];
  copyFileSync(fixture('one.crt'), cert);
  copyFileSync(fixture('one.key'), key);
  const own = path.join(folder, 'own.sock');
  const overTcp = await listening({ host: '127.0.0.1', port: 0 });
  const sockets = [overTcp, await listening({ path: own })];
  // Node takes the file away when it closes its end; the name of the test stays.
  linkSync(own, unixPath);
  port = (overTcp.address() as AddressInfo).port;
  // From then on connections wait for the server.
  const handedOver = once(overTcp, 'close');
  const starting = startServer({
    sockets,
    // Neither is read: the sockets are there already.
    settings: {
      ...{ 'http.host': '203.0.113.1', 'http.socket': path.join(folder, 'unused.sock') },
      ...{ 'http.tls.cert': cert, 'http.tls.key': key, 'worker.count': 1 },
    },
  });
  await handedOver;
  early = ask({ host: '127.0.0.1', port }, '/health/live');
  server = await starting;
}, 120_000);

test('a request that came before the server listened is answered', async () => {
  expect(await early).toBe(200);
});

test('it answers at every socket that was handed over, and only there', async () => {
  expect(new URL(server.url)).toMatchObject({ protocol: 'https:', port: String(port) });
  for (const where of [{ host: '127.0.0.1', port }, { socketPath: unixPath }]) {
    expect(await ask(where, '/v1/classify', { inputs: 'a prize' })).toBe(200);
    expect(await ask(where, '/health/ready')).toBe(200);
  }
  expect(
    statSync(path.join(path.dirname(unixPath), 'unused.sock'), { throwIfNoEntry: false }),
  ).toBe(undefined);
});

test('its workers have nothing of the sockets', async () => {
  const [worker = -1] = childrenOf(server.pid);
  const environment = readFileSync(`/proc/${worker}/environ`, 'utf8');
  expect(environment).not.toMatch(/LISTEN_/);
  // A file that was open when they were listed may be closed by now.
  const linkOf = (file: string) => {
    try {
      return readlinkSync(file);
    } catch {
      return '';
    }
  };
  const inodes = (pid: number) =>
    readdirSync(`/proc/${pid}/fd`).map((fd) => linkOf(`/proc/${pid}/fd/${fd}`));
  const own = new Set(inodes(server.pid).filter((link) => link.startsWith('socket:')));
  const listened = readFileSync(`/proc/${server.pid}/net/tcp`, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = '', , state]) => {
      return state === '0A' && Number.parseInt(local.slice(-4), 16) === port;
    })
    .map((fields) => `socket:[${fields[9]}]`);
  expect(listened.filter((link) => own.has(link))).toHaveLength(1);
  expect(inodes(worker).filter((link) => listened.includes(link))).toEqual([]);
});

test('changed files are read again: new connections get the new certificate', async () => {
  expect(await nameNow()).toBe(ONE);
  copyFileSync(fixture('two.crt'), cert);
  copyFileSync(fixture('two.key'), key);
  await until('the new certificate is there', async () => (await nameNow()) === TWO);
  expect(server.logs.some(({ msg }) => msg === 'the certificate was read again')).toBe(true);
});

test('a broken file keeps the old certificate, and the log says so; a whole one is taken after it', async () => {
  const refused = () =>
    server.logs.filter(({ msg }) => msg === 'the certificate stays as it was').length;
  const before = refused();
  writeFileSync(cert, 'no certificate');
  await until('it was looked at', () => refused() > before);
  expect(await nameNow()).toBe(TWO);
  // A key of another certificate.
  copyFileSync(fixture('one.crt'), cert);
  await until('it was looked at again', () => refused() > before + 1);
  expect(await nameNow()).toBe(TWO);
  copyFileSync(fixture('one.key'), key);
  await until('both fit together', async () => (await nameNow()) === ONE);
});

test('it stops in time, and the socket that is not its own stays', async () => {
  expect((await server.stop()).code).toBe(0);
  expect(statSync(unixPath).isSocket()).toBe(true);
});
