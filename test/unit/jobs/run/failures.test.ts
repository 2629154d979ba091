import { expect, test } from 'vitest';
import { PlimsollError } from '../../../../src/errors.js';
import { InputError } from '../../../../src/jobs/files/input-error.js';
import { Places } from '../../../../src/jobs/files/places.js';
import { BusyError } from '../../../../src/jobs/files/remote/retries.js';
import { Formats } from '../../../../src/jobs/formats/formats.js';
import { RunningRows } from '../../../../src/jobs/progress.js';
import {
  JobFailure,
  type JobState,
  NotNow,
  ShardFailure,
} from '../../../../src/jobs/queue/queue.js';
import { failureOf, readFailureOf } from '../../../../src/jobs/run/failures.js';
import { JobRunner } from '../../../../src/jobs/run/runner.js';
import { S3Server } from '../files/s3-server.js';
import { signal } from '../reading.js';

const system = (code: string) => Object.assign(new Error(code), { code });

test.each([
  system('ENOSPC'),
  system('ECONNREFUSED'),
  system('EAI_AGAIN'),
  new BusyError('its server answered 503'),
  new PlimsollError('STORAGE_UNAVAILABLE', 'there is no space'),
  new PlimsollError('INSUFFICIENT_MEMORY', 'it would not fit even alone'),
  new Error('fetch failed', { cause: system('ECONNRESET') }),
])('what passes is an outage: %s', (error) => {
  for (const of of [failureOf, readFailureOf]) {
    expect(of(error)).toBeInstanceOf(NotNow);
    expect(of(error)).toMatchObject({ kind: 'outage' });
  }
});

test.each(['TOO_MANY_SESSIONS', 'MEMORY_PRESSURE', 'SHUTTING_DOWN', 'MODEL_NOT_FOUND'] as const)(
  'a server that is not fit for it now is busy: %s',
  (code) => {
    const failure = failureOf(new PlimsollError(code, 'no'));
    expect(failure).toBeInstanceOf(NotNow);
    expect(failure).toMatchObject({ kind: 'busy' });
  },
);

test('input that cannot be read fails its shard, output that cannot be written the job', () => {
  const error = new InputError('/a.csv may not be read by this user', system('ECONNRESET'));
  expect(readFailureOf(error)).toBeInstanceOf(ShardFailure);
  expect(failureOf(error)).toBeInstanceOf(JobFailure);
  expect(failureOf(readFailureOf(error))).toBeInstanceOf(ShardFailure);
  const fault = new TypeError('a fault of ours');
  expect([failureOf(fault), readFailureOf(fault)]).toEqual([fault, fault]);
});

test('an S3 server that lists no uploads gets its manifest all the same', async () => {
  const server = await S3Server.start();
  const places = new Places({ s3: server.options, folders: [], privateAddresses: false });
  const never = (): never => {
    throw new Error('no model runs for a manifest');
  };
  const runner = new JobRunner({
    ...{ places, formats: new Formats(places), server: 'a' },
    models: { whyNot: never, about: never, answers: never },
    openSession: never,
    progress: new RunningRows(() => undefined),
  });
  for (const status of [404, 405, 404, 405]) {
    server.faults.push({
      when: (method, url) => method === 'GET' && url.searchParams.has('uploads'),
      answer: (reply) => void reply.writeHead(status).end(),
    });
  }
  const job: JobState = {
    ...{ id: 'j1', request: { input: 's3://bucket/in', output: 's3://bucket/out/' } },
    ...{ state: 'finishing', createdAtMs: 1, startedAtMs: 1, endedAtMs: null, files: 0 },
    ...{ planned: true, shards: { waiting: 0, running: 0, done: 0, failed: 0 }, rows: 0, bad: 0 },
    ...{ bytes: 0, bytesDone: 0, model: null, manifest: null, error: null },
  };
  const none = (async function* () {})();
  expect(await runner.finish(job, none, signal)).toBe('s3://bucket/out/manifest-j1.json');
  expect(server.requests.filter((request) => request.includes('uploads')).length).toBeGreaterThan(
    1,
  );
  expect([...server.objects.keys()]).toEqual(['out/manifest-j1.json']);
});
