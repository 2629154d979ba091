import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { environmentName, readConfig, settingKeys } from '../../../src/settings/config.js';
import { placeOf, python, textOf } from './judges.js';

const dockerfile = textOf('deploy/container/Dockerfile');
const manifest = JSON.parse(textOf('package.json')) as {
  readonly version: string;
  readonly scripts: { readonly start: string };
};

/** Instructions with their words; lines that go on are joined. */
const instructions = dockerfile
  .replaceAll(/^#.*\n/gm, '')
  .replaceAll(/\\\n\s*/g, '')
  .split('\n')
  .filter((line) => line.trim() !== '')
  .map((line) => {
    const [name = '', ...words] = line.trim().split(/\s+/);
    return { name, words, rest: words.join(' ') };
  });

function of(name: string) {
  return instructions.filter((instruction) => instruction.name === name);
}

/** What the last stage runs with. */
const lastStage = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'));

function inLastStage(name: string): string {
  return lastStage.find((instruction) => instruction.name === name)?.rest ?? '';
}

describe('the Dockerfile', () => {
  test.skipIf(python === undefined)('has nothing that hadolint finds fault with', () => {
    const hadolint = path.join(path.dirname(python ?? ''), 'hadolint');
    const check = (input: string) =>
      spawnSync(hadolint, ['--no-color', '-'], { input, encoding: 'utf8', timeout: 20_000 });
    expect(check(dockerfile).stdout).toBe('');
    expect(check(dockerfile).status).toBe(0);
    // A mistake would be found: an image without a version.
    expect(check('FROM node\nRUN apt-get install -y curl\n').status).not.toBe(0);
  });

  test('copies only what is there', () => {
    const stages = of('FROM').flatMap(({ words }) => words.slice(2));
    const copied = of('COPY').filter(({ words }) => !words[0]?.startsWith('--from='));
    const sources = copied.flatMap(({ words }) => words.slice(0, -1));
    expect(sources.length).toBeGreaterThan(5);
    expect(sources.filter((source) => !existsSync(placeOf(source)))).toEqual([]);
    const from = of('COPY').flatMap(({ words }) => /^--from=(.+)$/.exec(words[0] ?? '')?.[1] ?? []);
    expect(from.filter((stage) => !stages.includes(stage))).toEqual([]);
  });

  test('and all of that reaches the builder', () => {
    const allowed = textOf('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const sources = of('COPY')
      .filter(({ words }) => !words[0]?.startsWith('--from='))
      .flatMap(({ words }) => words.slice(0, -1));
    const isAllowed = (source: string) =>
      allowed.some((name) => source === name || source.startsWith(`${name}/`));
    expect(sources.filter((source) => !isAllowed(source))).toEqual([]);
    expect(textOf('.dockerignore')).toMatch(/^\*$/m);
  });

  test('and what the build is made of is among it', () => {
    const imports = [...textOf('scripts/build.mjs').matchAll(/ from '\.\/([^']+)'/g)];
    expect(imports.length).toBeGreaterThan(0);
    const copied = of('COPY').flatMap(({ words }) => words.slice(0, -1));
    for (const [, name] of imports) expect(copied).toContain(`scripts/${name}`);
  });

  test('builds on a version of Node that the tests run under', () => {
    const [, version = ''] = /^ARG NODE_IMAGE=node:([\d.]+)-bookworm-slim$/m.exec(dockerfile) ?? [];
    expect(textOf('scripts/test-nodes.mjs')).toContain(`'${version}'`);
    for (const { words } of of('FROM')) expect(words[0]).toBe('$' + '{NODE_IMAGE}');
  });

  test('runs what `npm start` runs, as a user with a number that is not 0', () => {
    const entry: unknown = JSON.parse(inLastStage('ENTRYPOINT'));
    const command: unknown = JSON.parse(inLastStage('CMD'));
    expect(entry).toEqual(['node', '/app/dist/main.js']);
    expect(command).toEqual(['serve']);
    expect(manifest.scripts.start).toBe('exec node dist/main.js serve');
    expect(inLastStage('USER')).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    expect(inLastStage('STOPSIGNAL')).toBe('SIGTERM');
  });

  test('carries the version of the package', () => {
    expect(inLastStage('LABEL')).toContain(`version="${manifest.version}"`);
    expect(textOf('deploy/helm/plimsoll/Chart.yaml')).toContain(
      `appVersion: ${manifest.version}\n`,
    );
    expect(textOf('deploy/compose/compose.yaml')).toContain(
      `image: plimsoll:${manifest.version}\n`,
    );
  });

  test('writes below its volume alone, and listens where others reach it', () => {
    const environment = Object.fromEntries(
      inLastStage('ENV')
        .split(/\s+/)
        .map((pair) => pair.split('=', 2)),
    ) as Readonly<Record<string, string>>;
    const known = settingKeys().map(environmentName);
    const ours = Object.keys(environment).filter((name) => name.startsWith('PLIMSOLL_'));
    expect(ours.filter((name) => !known.includes(name))).toEqual([]);
    const config = readConfig(environment, {}, { cpus: 2 });
    expect(JSON.parse(inLastStage('VOLUME'))).toEqual([config.data]);
    expect(environment.HOME).toBe(config.data);
    expect(environment.HF_HOME).toMatch(new RegExp(`^${config.data}/`));
    expect(config['http.host']).toBe('0.0.0.0');
    expect(inLastStage('EXPOSE')).toBe(String(config['http.port']));
  });
});

describe('the health check', () => {
  const script = placeOf('deploy/container/healthcheck.mjs');
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-health-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs it as Docker does: with the container's variables. */
  async function check(environment: Readonly<Record<string, string>>) {
    const child = execFile(process.execPath, [script], { env: environment });
    let said = '';
    child.stdout?.on('data', (chunk: string) => {
      said += chunk;
    });
    const [code] = await once(child, 'close');
    return { code, said };
  }

  const answering =
    (status: number): RequestListener =>
    (request, response) => {
      response.writeHead(status).end(`${request.url}`);
    };

  test.each([
    [200, 0],
    [503, 1],
    [404, 1],
  ])('a server that answers %i: exit code %i', async (status, code) => {
    const server = createServer(answering(status)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const found = await check({ PLIMSOLL_HTTP_PORT: String(port) });
    server.close();
    expect(found).toEqual({ code, said: `${status} /health/ready\n` });
  });

  test('nobody listens: exit code 1', async () => {
    const socket = path.join(folder, 'none');
    const { code, said } = await check({ PLIMSOLL_HTTP_SOCKET: socket });
    expect([code, said]).toEqual([1, expect.stringContaining('ENOENT')]);
  });

  test('a server at a Unix socket', async () => {
    const socket = path.join(folder, 'socket');
    const server = createServer(answering(200)).listen(socket);
    await once(server, 'listening');
    const found = await check({ PLIMSOLL_HTTP_SOCKET: socket });
    server.close();
    expect(found.code).toBe(0);
  });

  test('a server that speaks TLS under a name of its own', async () => {
    const [cert, key] = [path.join(folder, 'cert.pem'), path.join(folder, 'key.pem')];
    const made = spawnSync('openssl', [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=plimsoll.example'],
      ...['-days', '1', '-keyout', key, '-out', cert],
    ]);
    expect(made.status).toBe(0);
    const options = { cert: readFileSync(cert), key: readFileSync(key) };
    const server = createTlsServer(options, answering(200)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const found = await check({
      PLIMSOLL_HTTP_PORT: String(port),
      PLIMSOLL_HTTP_TLS_CERT: cert,
    });
    server.close();
    expect(found.code).toBe(0);
  });

  test('it runs from a folder where nothing else is', async () => {
    const copy = path.join(folder, 'healthcheck.mjs');
    cpSync(script, copy);
    const { status } = spawnSync(process.execPath, ['--check', copy]);
    expect(status).toBe(0);
    expect(textOf('deploy/container/healthcheck.mjs')).not.toMatch(/from '(?!node:)/);
  });
});
