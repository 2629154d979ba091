/** A job is done with one commit and dtype of its model. */
import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { Formats } from '../../../../src/jobs/formats/formats.js';
import { RunningRows } from '../../../../src/jobs/progress.js';
import { type JobModel, type JobState, NotNow } from '../../../../src/jobs/queue/queue.js';
import { otherModel } from '../../../../src/jobs/run/other-model.js';
import { JobRunner } from '../../../../src/jobs/run/runner.js';
import { ModelRepository } from '../../../../src/models/intake/repository.js';
import { localPlaces, one, signal, temporaryFolder } from '../reading.js';

const repository = new ModelRepository('models');
const BEGAN: JobModel = { id: 'spam', commit: 'older', dtype: 'fp32' };

/** A runner with the bundled model. @param commits that it is said to have come from, one after another */
async function runnerAt(commits: readonly string[]) {
  const folder = await temporaryFolder();
  const places = localPlaces();
  const file = path.join(folder, 'blank.jsonl');
  await writeFile(file, '\n\n\n');
  let asked = 0;
  const runner = new JobRunner({
    ...{ places, formats: new Formats(places), server: 'a' },
    models: {
      whyNot: () => undefined,
      about: async (name) => {
        const commit = commits[Math.min(asked, commits.length - 1)] ?? null;
        asked += 1;
        return { ...(await repository.find(name)), commit };
      },
      answers: () => Promise.reject(new Error('there is no row to ask for')),
    },
    openSession: () => ({ end: async () => undefined }),
    progress: new RunningRows(() => undefined),
  });
  const request = { input: file, output: path.join(folder, 'out'), model: 'spam' };
  const job: JobState = {
    ...{ id: 'j1', request, state: 'running', createdAtMs: 1, startedAtMs: 1, endedAtMs: null },
    ...{ files: 1, planned: true, shards: { waiting: 0, running: 1, done: 0, failed: 0 } },
    ...{ rows: 0, bad: 0, bytes: 3, bytesDone: 0, model: BEGAN, manifest: null, error: null },
  };
  const of = await one(places, file);
  const run = () =>
    runner.run(job, { index: 0, file: of, range: { unit: 'bytes', start: 0, end: 3 } }, signal);
  return { run, parts: () => readdir(request.output).catch(() => []) };
}

test('a server with the model that the job began with does the shard', async () => {
  const { run, parts } = await runnerAt(['older']);
  const { part, rows, model } = await run();
  expect({ rows, model, parts: await parts() }).toMatchObject({
    rows: 0,
    model: BEGAN,
    parts: [part],
  });
});

test('a server with another commit hands the shard back, and one whose model changes meanwhile writes no part', async () => {
  for (const commits of [['newer'], ['older', 'newer']]) {
    const { run, parts } = await runnerAt(commits);
    const failure = await run().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(NotNow);
    expect(failure).toMatchObject({ kind: 'busy', message: expect.stringContaining('newer') });
    expect(await parts()).toEqual([]);
  }
});

test('commit and dtype make another model, the name that a server gives it does not', () => {
  expect(otherModel(BEGAN, { ...BEGAN, id: 'alias' })).toBeUndefined();
  expect(otherModel(BEGAN, { ...BEGAN, dtype: 'q8' })).toMatch(/at commit older as fp32, .* as q8/);
});
