import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { proxyOf } from '../../../../src/models/pull/hub/proxy.js';
import { hubSettings } from '../../../../src/models/pull/hub-settings.js';
import { pullModel } from '../../../../src/models/pull/pull.js';
import { HubServer } from '../../../servers/hub.js';
import { ProxyServer } from '../../../servers/proxy.js';

const FILES = new Map([
  ['config.json', Buffer.from('{"model_type":"bert"}')],
  ['tokenizer.json', Buffer.alloc(5000, 'a')],
  ['onnx/model.onnx', Buffer.alloc(300_000, 'b')],
]);
let hub: HubServer;
let proxy: ProxyServer;
let folder: string;

beforeEach(async () => {
  hub = await HubServer.start(FILES);
  proxy = await ProxyServer.start();
  folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-proxy-'));
});

afterEach(async () => {
  await Promise.all([hub.stop(), proxy.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

async function pull(environment: Readonly<Record<string, string>>) {
  const settings = await hubSettings({
    ...{ HF_ENDPOINT: hub.endpoint, HF_HOME: folder, HF_TOKEN: 'hf_secret' },
    ...environment,
  });
  return pullModel({
    ...{ settings, model: 'org/name', dtype: 'auto', wait: () => Promise.resolve() },
    ...{ signal: new AbortController().signal, onProgress: () => undefined },
  });
}

describe('a model of a hub behind a proxy', () => {
  test('comes through it, with its credentials, whole', async () => {
    const pulled = await pull({ HTTP_PROXY: `http://user:pass%40word@${proxy.host}` });
    const graph = readFileSync(path.join(pulled.folder, 'onnx/model.onnx'));
    expect(graph.equals(FILES.get('onnx/model.onnx') ?? Buffer.alloc(0))).toBe(true);
    expect(proxy.seen.length).toBeGreaterThanOrEqual(hub.seen.length);
    const basic = `Basic ${Buffer.from('user:pass@word').toString('base64')}`;
    expect(new Set(proxy.seen.map(({ authorization }) => authorization))).toEqual(new Set([basic]));
    expect(proxy.seen.every(({ asked }) => /^(GET|HEAD) http:\/\/127/.test(asked))).toBe(true);
  });

  test('does not, where NO_PROXY names its host', async () => {
    await pull({ HTTP_PROXY: proxy.host, NO_PROXY: 'example.org,127.0.0.1' });
    expect(proxy.seen).toEqual([]);
  });

  test('over https is asked for with CONNECT; a failure names the hub and the proxy, and no password', async () => {
    const endpoint = hub.endpoint.replace('http:', 'https:');
    const pulling = pull({
      ...{ HF_ENDPOINT: endpoint, https_proxy: `http://user:word@${proxy.host}` },
    });
    const failure = await pulling.catch((error: unknown) => String(error));
    expect(failure).toContain(`${new URL(endpoint).host} cannot be reached: `);
    expect(failure).toContain(`the environment names the proxy ${proxy.host} (`);
    expect(failure).not.toContain('word');
    expect(proxy.seen[0]?.asked).toBe(`CONNECT ${new URL(endpoint).host}`);
    expect(hub.seen).toEqual([]);
  });

  test('whose proxy is away is told so', async () => {
    const { host } = proxy;
    const pulling = pull({ ALL_PROXY: `http://${host}` });
    await proxy.stop();
    const failure = await pulling.catch((error: unknown) => String(error));
    expect(failure).toContain(`the environment names the proxy ${host} (`);
    proxy = await ProxyServer.start();
  });

  test('whose proxy is no address is told so, without the address', async () => {
    const failure = await pull({ HTTP_PROXY: 'ftp://user:word@x' }).catch(String);
    expect(failure).toContain('it takes http://, https:// or socks5:// and a host');
    expect(failure).not.toContain('word');
  });
});

test.each([
  ['none', {}, undefined],
  ['only hosts without one', { NO_PROXY: '*' }, undefined],
  ['https alone', { HTTPS_PROXY: 'a:1' }, { http: '', https: 'a:1', except: '' }],
  ['http for both', { HTTP_PROXY: 'a:1' }, { http: 'a:1', https: 'a:1', except: '' }],
  [
    'small letters first',
    { HTTP_PROXY: 'a', http_proxy: 'b' },
    { http: 'b', https: 'b', except: '' },
  ],
  [
    'one for all that have none of their own',
    { ALL_PROXY: 'c', https_proxy: 'b', no_proxy: 'x,y' },
    { http: 'c', https: 'b', except: 'x,y' },
  ],
])('proxies of the environment: %s', (_case, environment, proxy) => {
  expect(proxyOf(environment as Readonly<Record<string, string>>)).toEqual(proxy);
});
