import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createClient } from '@redis/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseKeyFile } from '../../../src/keys/key-file.js';
import { freePort } from '../../servers/free-port.js';
import { haproxy, redis } from '../../servers/tools.js';
import { judged, placeOf, python, refusals, textOf } from './judges.js';
import { MadeSecrets } from './settings.js';

interface Service {
  readonly image: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  /** Null: passed on from where compose runs. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly networks: readonly string[];
  readonly secrets?: readonly string[];
  readonly stop_grace_period?: string;
  readonly depends_on?: readonly string[] | Readonly<Record<string, { condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly deploy: { readonly resources: { readonly limits: { memory: string; cpus: string } } };
  readonly read_only?: boolean;
}

interface Composed {
  readonly services: Readonly<Record<string, Service>>;
  readonly secrets: Readonly<Record<string, { readonly file: string }>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>;
  readonly volumes: Readonly<Record<string, object>>;
}

const FOLDER = 'deploy/compose';
const text = textOf(`${FOLDER}/compose.yaml`);
const secrets = new MadeSecrets();
beforeAll(() => secrets.make());
afterAll(() => secrets.remove());

/** Bytes of `256mb`, `1G`: powers of 1,024, as Redis and Compose count. */
function bytesOf(size: string): number {
  const [, count = '', unit = ''] = /^(\d+)([kmg])b?$/i.exec(size) ?? [];
  return Number(count) * 1024 ** ({ k: 1, m: 2, g: 3 }[unit.toLowerCase()] ?? Number.NaN);
}

/** Without the variables that are passed on. */
const known = (environment: Readonly<Record<string, string | null>> = {}) =>
  Object.fromEntries(
    Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== null),
  );

describe.skipIf(python === undefined)('deploy/compose/compose.yaml', () => {
  let composed: Composed;
  let servers: (readonly [string, Service])[];

  beforeAll(() => {
    composed = judged<Composed>({ do: 'compose', text });
    servers = Object.entries(composed.services)
      .filter(([, of]) => of.image.startsWith('plimsoll'))
      .map(([name, of]) => [name, { ...of, environment: known(of.environment) }]);
    composed = { ...composed, services: { ...composed.services, ...Object.fromEntries(servers) } };
  });

  test('is as the Compose specification has it, and mistakes would be found', () => {
    expect(refusals([{ do: 'compose', text }])).toEqual([]);
    const mistakes = [
      text.replace('stop_grace_period: 30s', 'stop_graceperiod: 30s'),
      text.replace('networks: [front, back]', 'networks: [front, rear]'),
      text.replace('interval: 10s', 'interval: soon'),
      text.replace('secrets: [redis-password]', 'secrets: [redis-pasword]'),
      text.replace(
        '    restart: unless-stopped',
        '    restart: unless-stopped\n    restart: always',
      ),
    ];
    const tasks = mistakes.map((mistake) => ({ do: 'compose' as const, text: mistake }));
    expect(refusals(tasks)).toHaveLength(mistakes.length);
  });

  test('passes on what jobs need for s3://, if it is set', () => {
    const { services } = judged<Composed>({ do: 'compose', text });
    for (const [name] of servers) {
      expect(services[name]?.environment).toMatchObject({
        AWS_ACCESS_KEY_ID: null,
        AWS_SECRET_ACCESS_KEY: null,
        AWS_SESSION_TOKEN: null,
        PLIMSOLL_JOBS_S3_ENDPOINT: null,
        PLIMSOLL_JOBS_S3_ADDRESSING: null,
        PLIMSOLL_JOBS_S3_REGION: null,
      });
    }
  });

  test('has two servers that answer and one that works, with all that they share', () => {
    const roles = servers.map(([, of]) => of.environment?.PLIMSOLL_SERVER_ROLE);
    expect(roles.toSorted()).toEqual(['door', 'door', 'worker']);
    const names = servers.map(([name, of]) => [name, of.environment?.PLIMSOLL_SERVER_NAME]);
    expect(names.filter(([name, own]) => name !== own)).toEqual([]);
  });

  test('gives every server settings that it accepts', () => {
    for (const [, { environment = {} }] of servers) {
      const config = secrets.read(environment, '/run/secrets');
      expect(config['redis.url']).toContain('@redis-cache:');
      expect(config['jobs.url']).toContain('@redis-jobs:');
      expect(config['database.url']).toContain('@postgres:');
      expect(config['cache.secret']).toMatch(/^[0-9a-f]{64}$/);
    }
  });

  test('waits for a server to drain and to finish before it is killed', () => {
    for (const [name, { environment = {}, stop_grace_period: wait = '' }] of servers) {
      const config = secrets.read(environment, '/run/secrets');
      const longestMs = config['shutdown.drain_ms'] + config['shutdown.grace_ms'];
      expect(Number(wait.replace(/s$/, '')) * 1000, name).toBeGreaterThan(longestMs);
    }
  });

  test('mounts files that exist, and each service the secrets that it reads', () => {
    for (const [name, of] of Object.entries(composed.services)) {
      for (const volume of of.volumes ?? []) {
        const [from = ''] = volume.split(':');
        const isFile = from.startsWith('.');
        if (isFile) expect(existsSync(placeOf(`${FOLDER}/${from}`)), `${name}: ${from}`).toBe(true);
        else expect(composed.volumes, name).toHaveProperty(from);
      }
      const read = Object.values(of.environment ?? {}).flatMap((value) =>
        value.startsWith('/run/secrets/') ? [path.basename(value)] : [],
      );
      const missing = read.filter((secret) => !(of.secrets ?? []).includes(secret));
      expect(missing, name).toEqual([]);
    }
    for (const [name, { file }] of Object.entries(composed.secrets)) {
      expect(existsSync(path.join(secrets.folder, path.basename(file))), name).toBe(true);
    }
    const { build } = composed.services['door-1'] ?? {};
    const context = path.join(placeOf(FOLDER), build?.context ?? '');
    expect(existsSync(path.join(context, build?.dockerfile ?? 'none'))).toBe(true);
  });

  test('keeps what a server writes in a volume of its own', () => {
    const [, data = ''] = /PLIMSOLL_DATA=(\S+)/.exec(textOf('deploy/container/Dockerfile')) ?? [];
    const volumes = servers.map(([name, of]) => [name, of.volumes]);
    expect(volumes).toEqual(servers.map(([name]) => [name, [`${name}:${data}`]]));
  });

  test('starts nothing before what it waits for, names versions, bounds memory, checks health', () => {
    for (const [name, of] of Object.entries(composed.services)) {
      const needed = Array.isArray(of.depends_on)
        ? of.depends_on
        : Object.keys(of.depends_on ?? {});
      for (const other of needed) expect(composed.services, name).toHaveProperty(other);
      expect(of.image, name).toMatch(/^[a-z]+:\d+\.\d+(\.\d+)?(-[a-z]+)?$/);
      expect(of.deploy.resources.limits.memory, name).toMatch(/^\d+[MG]$/);
      expect(of.healthcheck?.test.length, name).toBeGreaterThan(0);
    }
  });

  test('only the balancer is published, on loopback; databases are in a network without a way out', () => {
    const published = Object.entries(composed.services).filter(([, of]) => of.ports !== undefined);
    expect(published.map(([name]) => name)).toEqual(['balancer']);
    expect(published[0]?.[1].ports).toEqual(['127.0.0.1:8000:8080']);
    expect(composed.networks.back?.internal).toBe(true);
    for (const name of ['redis-cache', 'redis-jobs', 'postgres']) {
      expect(composed.services[name]?.networks).toEqual(['back']);
    }
  });

  test('the balancer asks the doors at the port that they listen on, and is asked at its own', () => {
    const { environment = {}, ports = [], healthcheck } = composed.services.balancer ?? {};
    for (const [name, value] of Object.entries(environment).filter(([of]) => /^DOOR/.test(of))) {
      const [host = '', port = ''] = value.split(':');
      const config = secrets.read(composed.services[host]?.environment ?? {}, '/run/secrets');
      expect(Number(port), name).toBe(config['http.port']);
    }
    const listens = environment.LISTEN?.split(':').at(-1);
    expect(ports[0]?.split(':').at(-1)).toBe(listens);
    expect(healthcheck?.test.join(' ')).toContain(`/127.0.0.1/${listens}`);
    const named = [...textOf(`${FOLDER}/haproxy.cfg`).matchAll(/"\$\{(\w+)\}"/g)];
    expect(named.map(([, variable]) => variable).toSorted()).toEqual(
      Object.keys(environment).toSorted(),
    );
  });

  test('every Redis has room for its maxmemory', () => {
    for (const name of ['redis-cache', 'redis-jobs']) {
      const [, most = ''] = /^maxmemory (\S+)$/m.exec(textOf(`${FOLDER}/${name}.conf`)) ?? [];
      const limit = composed.services[name]?.deploy.resources.limits.memory ?? '';
      expect(bytesOf(limit), name).toBeGreaterThan(1.25 * bytesOf(most));
    }
  });
});

describe('deploy/compose/secrets.sh', () => {
  test('makes keys that the server takes, in files that only a container can reach', () => {
    const keys = parseKeyFile(readFileSync(path.join(secrets.folder, 'keys'), 'utf8'));
    expect(keys.map(({ name, scopes }) => [name, scopes])).toEqual([
      ['ops', ['manage']],
      ['app', ['classify']],
      ['prometheus', ['read']],
    ]);
    expect(statSync(secrets.folder).mode & 0o777).toBe(0o700);
    expect(statSync(path.join(secrets.folder, 'database-url')).mode & 0o777).toBe(0o444);
  });

  test('changes nothing that is there', () => {
    const before = readFileSync(path.join(secrets.folder, 'database-url'), 'utf8');
    secrets.make();
    expect(readFileSync(path.join(secrets.folder, 'database-url'), 'utf8')).toBe(before);
  });

  test('what it writes is not committed', () => {
    expect(textOf('.gitignore')).toContain('\ndeploy/compose/secrets/\n');
  });
});

test.skipIf(haproxy === undefined)('HAProxy takes deploy/compose/haproxy.cfg', () => {
  const addresses = {
    LISTEN: '127.0.0.1:8080',
    DOOR_1: '127.0.0.1:8001',
    DOOR_2: '127.0.0.1:8002',
  };
  const check = (file: string) =>
    execFileSync(haproxy ?? '', ['-c', '-f', file], {
      env: addresses,
      encoding: 'utf8',
      stdio: 'pipe',
    });
  expect(check(placeOf(`${FOLDER}/haproxy.cfg`))).toContain('Configuration file is valid');
});

describe.skipIf(redis === undefined)('a real Redis with the files of deploy/compose', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-redis-conf-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each([
    [
      'redis-cache',
      { maxmemory: '268435456', 'maxmemory-policy': 'allkeys-lru', appendonly: 'no' },
    ],
    [
      'redis-jobs',
      {
        ...{ maxmemory: '268435456', 'maxmemory-policy': 'noeviction' },
        ...{ appendonly: 'yes', appendfsync: 'always' },
      },
    ],
  ])('%s asks for the password, and keeps what it should', async (name, wanted) => {
    const port = await freePort();
    const conf = textOf(`${FOLDER}/${name}.conf`)
      .replace('/run/secrets/', `${secrets.folder}/`)
      .replace(/^dir .*$/m, `dir ${folder}`)
      .replace(/^bind .*$/m, 'bind 127.0.0.1');
    const file = path.join(folder, `${name}.conf`);
    writeFileSync(file, conf);
    const child = spawn(redis ?? '', [file, '--port', String(port)], { stdio: 'pipe' });
    try {
      for await (const chunk of child.stdout) if (String(chunk).includes('eady to accept')) break;
      const said = readFileSync(path.join(secrets.folder, 'redis-password'), 'utf8').trim();
      const [, password = ''] = said.split(' ');
      const client = createClient({ url: `redis://:${password}@127.0.0.1:${port}` });
      await client.connect();
      for (const [key, value] of Object.entries(wanted)) {
        expect(await client.configGet(key)).toEqual({ [key]: value });
      }
      client.destroy();
      const stranger = createClient({ url: `redis://127.0.0.1:${port}` });
      await expect(stranger.connect()).rejects.toThrow('NOAUTH');
    } finally {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
  });
});
