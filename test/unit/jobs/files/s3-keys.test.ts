import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { InputError } from '../../../../src/jobs/files/input-error.js';
import { keysFrom, S3KeyRing } from '../../../../src/jobs/files/remote/s3-keys.js';
import { freePort } from '../../../servers/free-port.js';
import { MotoServer } from '../../../servers/s3.js';
import { pythonS3 } from '../../../servers/tools.js';
import { temporaryFolder } from '../reading.js';

let folder: string;
const file = async (name: string, content: string) => {
  await writeFile(path.join(folder, name), content);
  return path.join(folder, name);
};
/** Keys from an environment that says this, and nothing else of Amazon. */
const keysOf = (environment: Readonly<Record<string, string>>) => {
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  return keysFrom(process.env);
};

beforeEach(async () => {
  folder = await temporaryFolder();
  for (const name of Object.keys(process.env)) if (/^AWS_/.test(name)) vi.stubEnv(name, undefined);
  vi.stubEnv('HOME', folder);
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
});

describe('keys of S3', () => {
  const own = { AWS_ACCESS_KEY_ID: 'A', AWS_SECRET_ACCESS_KEY: 'B' };

  test('come from variables, or from files that they name', async () => {
    expect(await keysOf(own)).toEqual({ accessKeyId: 'A', secretAccessKey: 'B' });
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', '');
    const secret = await file('secret', 'S\n');
    expect(await keysOf({ AWS_SECRET_ACCESS_KEY_FILE: secret })).toMatchObject({
      accessKeyId: 'A',
      secretAccessKey: 'S',
    });
  });

  test('come from a profile, also from one that asks a program', async () => {
    const shared = await file(
      'credentials',
      '[default]\naws_access_key_id = A\naws_secret_access_key=B\n\n[bulk]\r\naws_access_key_id=C\r\naws_secret_access_key = d=e\r\naws_session_token=F\r\n',
    );
    const said = JSON.stringify({ Version: 1, AccessKeyId: 'P', SecretAccessKey: 'Q' });
    const config = await file('config', `[profile asks]\ncredential_process = echo '${said}'\n`);
    const named = { AWS_SHARED_CREDENTIALS_FILE: shared, AWS_CONFIG_FILE: config };
    expect(await keysOf(named)).toMatchObject({ accessKeyId: 'A', secretAccessKey: 'B' });
    expect(await keysOf({ ...named, AWS_PROFILE: 'bulk' })).toMatchObject({
      accessKeyId: 'C',
      secretAccessKey: 'd=e',
      sessionToken: 'F',
    });
    expect(await keysOf({ ...named, AWS_PROFILE: 'asks' })).toMatchObject({
      accessKeyId: 'P',
      secretAccessKey: 'Q',
    });
  });

  test('are none where nothing gives any', async () => {
    expect(await keysOf({})).toBeUndefined();
  });

  test.each<[Readonly<Record<string, string>>, string]>([
    [{ AWS_PROFILE: 'none' }, 'AWS_PROFILE names'],
    [{ AWS_SHARED_CREDENTIALS_FILE: '/none' }, 'AWS_SHARED_CREDENTIALS_FILE: /none'],
    [{ AWS_SECRET_ACCESS_KEY: 'B' }, 'go together'],
    [{ ...own, AWS_SESSION_TOKEN_FILE: '/none' }, 'AWS_SESSION_TOKEN_FILE'],
    [{ AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://example.org/' }, 'CREDENTIALS_FULL_URI names'],
  ])('that are set and give none are refused: %j', async (environment, reason) => {
    const failure: unknown = await keysOf(environment).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(InputError);
    expect(String(failure)).toContain(reason);
  });

  test('may come later from a service that does not answer now', async () => {
    const port = await freePort();
    const failure: unknown = await keysOf({
      AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/bulk',
      AWS_WEB_IDENTITY_TOKEN_FILE: await file('token', 'a token'),
      AWS_ENDPOINT_URL_STS: `http://127.0.0.1:${port}`,
      AWS_REGION: 'eu-west-1',
      AWS_MAX_ATTEMPTS: '1',
    }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ message: expect.stringContaining('TOKEN_FILE names') });
    expect(failure).not.toBeInstanceOf(InputError);
  });

  test('are asked for again before they expire, and after a while where there are none', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'performance'] });
    try {
      let reads = 0;
      let lastsMs: number | undefined = 3_600_000;
      const ring = new S3KeyRing(async () => {
        reads += 1;
        if (lastsMs === undefined) return undefined;
        return { accessKeyId: 'A', secretAccessKey: 'B', expiresAtMs: Date.now() + lastsMs };
      });
      const readsAfter = async (seconds: number) => {
        vi.advanceTimersByTime(seconds * 1000);
        await Promise.all([ring.keys(), ring.keys()]);
        return reads;
      };
      expect(await readsAfter(0)).toBe(1);
      expect(await readsAfter(3200)).toBe(1);
      lastsMs = undefined;
      expect(await readsAfter(200)).toBe(2);
      expect(await readsAfter(500)).toBe(2);
      expect(await readsAfter(200)).toBe(3);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe.skipIf(pythonS3 === undefined)('keys of roles, as moto gives them (needs Python)', () => {
  let server: MotoServer;
  beforeAll(async () => {
    server = await MotoServer.start(pythonS3);
  }, 60_000);
  afterAll(() => server.stop());

  const ofMoto = { accessKeyId: 'test-key', secretAccessKey: 'test-secret-key' };
  const role = '/latest/meta-data/iam/security-credentials/default-role';

  test('of the instance', async () => {
    const keys = await keysOf({
      AWS_EC2_METADATA_DISABLED: 'false',
      AWS_EC2_METADATA_SERVICE_ENDPOINT: server.endpoint,
    });
    expect(keys).toMatchObject({ ...ofMoto, sessionToken: 'test-session-token' });
    expect(keys?.expiresAtMs).toBeGreaterThan(Date.now());
  });

  test('of the container', async () => {
    const address = `${server.endpoint}${role}`;
    expect(await keysOf({ AWS_CONTAINER_CREDENTIALS_FULL_URI: address })).toMatchObject(ofMoto);
  });

  test('of a web identity', async () => {
    const keys = await keysOf({
      AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/bulk',
      AWS_WEB_IDENTITY_TOKEN_FILE: await file('token', 'a token'),
      AWS_ENDPOINT_URL_STS: server.endpoint,
      AWS_REGION: 'us-east-1',
    });
    expect(keys?.accessKeyId).toMatch(/^ASIA/);
    expect(keys?.sessionToken).toBeTruthy();
    expect(keys?.expiresAtMs).toBeGreaterThan(Date.now());
  });
});
