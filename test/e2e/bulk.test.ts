/** Bulk jobs: the command line with nothing installed, and the jobs of a server with their page. */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Answer } from '../../src/contract/classify.js';
import type { JobsView, JobView } from '../../src/contract/jobs.js';
import type { Receipts } from '../../src/contract/receipts.js';
import type { Sessions } from '../../src/contract/sessions.js';
import { chromium } from '../servers/tools.js';
import { Browser, findLayoutFaults, findViolations, panel, shootPart } from './browser.js';
import {
  type ErrorReply,
  get,
  post,
  request,
  run,
  type Server,
  startServer,
  temporaryFolder,
  until,
} from './harness.js';
import { exitOf, launch } from './processes.js';

interface Manifest {
  readonly job: string;
  readonly parts: readonly {
    readonly part: string;
    readonly rows: number;
    readonly bad: number;
    readonly bytes: number;
    readonly sha256: string;
  }[];
  readonly total: Readonly<Record<'parts' | 'rows' | 'bad' | 'failed', number>>;
}

interface OutRow {
  readonly id: unknown;
  readonly lang?: string | null;
  readonly label: string | null;
  readonly score: number | null;
  readonly error: string | null;
}

const WORDS = 'free money winner click meeting agenda lunch invoice prize claim project update';

/** @param words of each text: more take longer */
function mailsOf(rows: number, words = 12): string {
  const all = WORDS.split(' ');
  const textOf = (row: number) =>
    Array.from({ length: words }, (_, n) => all[(row * 7 + n * (row % 5) + n) % all.length]);
  return Array.from({ length: rows }, (_, id) =>
    JSON.stringify({ id, text: `${textOf(id).join(' ')} ${id}`, lang: 'en' }),
  ).join('\n');
}

function manifestIn(folder: string): Manifest {
  const names = readdirSync(folder).filter((name) => name.startsWith('manifest-'));
  expect(names).toHaveLength(1);
  return JSON.parse(readFileSync(path.join(folder, names[0] ?? ''), 'utf8'));
}

/** The rows of all parts, after every part was held against the manifest, and nothing else lies there. */
function rowsIn(folder: string): readonly OutRow[] {
  const { parts, total } = manifestIn(folder);
  const names = readdirSync(folder).filter((name) => !name.startsWith('manifest-'));
  expect(names.sort()).toEqual(parts.map(({ part }) => part).sort());
  const rows = parts.flatMap(({ part, rows: count, sha256, bytes }) => {
    const content = readFileSync(path.join(folder, part));
    expect(content.length).toBe(bytes);
    expect(createHash('sha256').update(content).digest('hex')).toBe(sha256);
    const lines = content.toString().trim().split('\n');
    expect(lines).toHaveLength(count);
    return lines.map((line): OutRow => JSON.parse(line));
  });
  expect(rows).toHaveLength(total.rows);
  return rows;
}

function idsOf(rows: readonly OutRow[]): readonly unknown[] {
  return rows.map(({ id }) => id).sort((a, b) => Number(a) - Number(b));
}

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);

describe('plimsoll bulk, with nothing installed', () => {
  test('killed in the middle, the same command goes on: every row once, bad ones with their reason', async () => {
    const folder = await temporaryFolder();
    const bad = ['{"id": 900, "text"', '{"id": 901}', '{"id": 902, "text": 5}'];
    writeFileSync(path.join(folder, 'mails.jsonl'), [mailsOf(900), ...bad].join('\n'));
    const args = ['bulk', 'mails.jsonl', '--model', 'spam', '--out', 'results/', '--id', 'id'];
    args.push('--keep', 'lang', '--shard-rows', '100', '--data', 'data');
    const first = launch(args, { cwd: folder });
    const ended = exitOf(first);
    await until('two parts', () => partsIn(path.join(folder, 'results')) >= 2);
    first.kill('SIGKILL');
    await ended;
    const before = partsIn(path.join(folder, 'results'));
    const again = await run(args, { cwd: folder });
    expect(again.code, again.stderr).toBe(0);
    expect(again.stdout).toMatch(/done: 903 rows .* 3 bad\nmanifest: /s);
    const rows = rowsIn(path.join(folder, 'results'));
    expect(manifestIn(path.join(folder, 'results')).parts.length).toBeGreaterThan(before);
    expect(idsOf(rows.filter(({ error }) => error === null))).toEqual(numbers(900));
    expect(rows.filter(({ error }) => error !== null).map(({ label }) => label)).toEqual([
      null,
      null,
      null,
    ]);
    expect(rows.map(({ error }) => error).join('\n')).toMatch(/text is not a text/);
    expect(new Set(rows.map(({ lang }) => lang))).toEqual(new Set(['en', null]));
  });

  test('CSV in, Parquet out; too many bad rows fail the job; wrong calls name what is wrong', async () => {
    const folder = await temporaryFolder();
    writeFileSync(
      path.join(folder, 'a.csv'),
      'mail;note\n"free ""money""\nnow";1\nlunch at noon;2\n',
    );
    const columns = ['--text', 'mail', '--keep', 'note', '--data', 'data'];
    const csv = await run(
      ['bulk', 'a.csv', '--out', 'out', '--format', 'parquet', '--all-scores', ...columns],
      { cwd: folder },
    );
    expect(csv.code, csv.stderr).toBe(0);
    const { parts } = manifestIn(path.join(folder, 'out'));
    expect(parts.map(({ rows, bad }) => [rows, bad])).toEqual([[2, 0]]);
    expect(parts[0]?.part).toMatch(/\.parquet$/);
    writeFileSync(path.join(folder, 'bad.jsonl'), '{"text": 1}\n{"text": 2}\n{"text": "x"}\n');
    const bad = ['bulk', 'bad.jsonl', '--out', 'bad', '--max-errors', '1', '--data', 'data'];
    const failed = await run(bad, { cwd: folder });
    expect([failed.code, failed.stdout]).toEqual([
      1,
      expect.stringMatching(/failed: .*2 bad rows are more than max_errors allows \(1\)/s),
    ]);
    const missing = await run(['bulk', 'none-*.jsonl', '--out', 'x', '--data', 'data'], {
      cwd: folder,
    });
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining('none-*.jsonl')]);
    const model = await run(
      ['bulk', 'a.csv', '--model', 'nothing', '--out', 'x', '--data', 'data'],
      { cwd: folder },
    );
    expect([model.code, model.stderr]).toEqual([1, expect.stringContaining('nothing')]);
  });
});

describe('the same command again', () => {
  test('lists the input anew, keeps the parts that still hold, and tries again what failed', async () => {
    const folder = await temporaryFolder();
    const [input, output] = [path.join(folder, 'in'), path.join(folder, 'out')];
    mkdirSync(input);
    writeFileSync(path.join(input, 'b.jsonl'), mailsOf(300));
    const args = ['bulk', 'in/', '--model', 'spam', '--out', 'out/', '--id', 'id'];
    args.push('--shard-rows', '100', '--data', 'data');
    // The environment of a server in a fleet, whose queue does not answer.
    const environment = { PLIMSOLL_SERVER_ROLE: 'door', PLIMSOLL_JOBS_URL: 'redis://127.0.0.1:9' };
    const again = () => run(args, { cwd: folder, environment });
    const first = await again();
    expect([first.code, idsOf(rowsIn(output))], first.stderr).toEqual([0, numbers(300)]);
    const before = partTimes(output);
    // A file that sorts before, two that cannot be read, and one without rows.
    const other = mailsOf(500).split('\n').slice(300);
    writeFileSync(path.join(input, 'a.jsonl'), other.join('\n'));
    writeFileSync(path.join(input, 'c.csv'), 'id,mail\n500,hello\n');
    writeFileSync(path.join(input, 'd.jsonl.gz'), gzipSync(mailsOf(50)).subarray(0, 200));
    writeFileSync(path.join(input, 'e.csv'), '');
    const second = await again();
    expect(second.code, second.stderr).toBe(1);
    expect(second.stdout).toMatch(/failed: .*c\.csv failed 1 times: .*has no column "text"/s);
    expect(second.stdout).toMatch(/d\.jsonl\.gz failed 1 times: .*\nmanifest: /s);
    expect(manifestIn(output).total).toMatchObject({ rows: 500, bad: 0, failed: 2 });
    for (const [part, time] of before) expect(partTimes(output).get(part), part).toBe(time);
    writeFileSync(path.join(input, 'c.csv'), 'id,text\n500,hello\n');
    rmSync(path.join(input, 'd.jsonl.gz'));
    const [lost] = before.keys();
    rmSync(path.join(output, lost ?? ''));
    const third = await again();
    expect(third.code, third.stdout).toBe(0);
    const { total, parts } = manifestIn(output);
    expect(total).toMatchObject({ rows: 501, bad: 0, failed: 0 });
    expect(parts.map(({ part }) => part)).toEqual(expect.arrayContaining([...before.keys()]));
    const after = partTimes(output);
    for (const [part, time] of before) expect(after.get(part) === time, part).toBe(part !== lost);
  });
});

/** When each part was written, by its name. */
function partTimes(folder: string): ReadonlyMap<string, number> {
  const names = readdirSync(folder).filter((name) => name.startsWith('part-'));
  return new Map(names.map((name) => [name, statSync(path.join(folder, name)).mtimeMs]));
}

function partsIn(folder: string): number {
  try {
    return readdirSync(folder).filter((name) => /^part-\d+-[0-9a-f]+\.jsonl$/.test(name)).length;
  } catch {
    return 0;
  }
}

describe('the jobs of a server', () => {
  let server: Server;
  let folder: string;
  const finished = (id: string) =>
    until('the end of the job', async () => {
      const job = await get<JobView>(server, `/v1/jobs/${id}`);
      return job.ended_at === null ? undefined : job;
    });
  const submit = (body: object) => request<JobView>(server, 'POST', '/v1/jobs', { body });

  beforeAll(async () => {
    folder = await temporaryFolder();
    mkdirSync(path.join(folder, 'in'));
    writeFileSync(path.join(folder, 'in', 'mails.jsonl'), mailsOf(300));
    writeFileSync(path.join(folder, 'in', 'long.jsonl'), mailsOf(4000, 400));
    server = await startServer({
      settings: { 'jobs.folders': folder, 'jobs.at_once': 1 },
    });
  });

  test('gives the scores that callers get, a session and a receipt for each shard, and events to the end', async () => {
    const { status, body: job } = await submit({
      ...{ input: path.join(folder, 'in', 'mails*'), output: path.join(folder, 'same') },
      ...{ id: 'id', shard_rows: 100 },
    });
    expect(status).toBe(202);
    const events = await fetch(`${server.url}/v1/jobs/${job.id}/events`);
    const told = (await events.text()).match(/^data: .*$/gm) ?? [];
    const last: JobView = JSON.parse((told.at(-1) ?? '').slice('data: '.length));
    expect(last).toMatchObject({ id: job.id, state: 'done', model: 'spam', seconds_left: null });
    expect(last.rows).toMatchObject({ done: 300, bad: 0 });
    expect(last.shards).toMatchObject({ failed: 0, waiting: 0, running: 0 });
    const rows = rowsIn(path.join(folder, 'same'));
    expect(idsOf(rows)).toEqual(numbers(300));
    const texts = mailsOf(300)
      .split('\n')
      .map((line): { text: string } => JSON.parse(line))
      .map(({ text }) => text);
    const answer = await post<Answer>(server, '/v1/classify', { inputs: texts, top_k: 1 });
    for (const { id, label, score } of rows) {
      const [best] = answer.results[Number(id)] ?? [];
      expect(label).toBe(best?.label);
      expect(score).toBeCloseTo(best?.score ?? 0, 4);
    }
    const { receipts } = await get<Receipts>(server, '/v1/receipts?limit=100');
    const ofShards = receipts.filter(({ session }) => session !== null);
    expect(ofShards.length).toBeGreaterThanOrEqual(last.shards.done);
    // A shard is a session of its own: the session and the receipt of its cleanup say which.
    const { sessions } = await get<Sessions>(server, '/v1/sessions?limit=100');
    for (const shard of numbers(last.shards.done)) {
      const of = { id: job.id, shard };
      const session = sessions.find((one) => one.job?.id === job.id && one.job.shard === shard);
      expect(session).toMatchObject({ job: of, state: 'ended', cleanup: { job: of } });
      expect(receipts.filter((one) => one.session === session?.id)).toMatchObject([{ job: of }]);
      expect(server.output()).toContain(
        `after session ${session?.id} of job ${job.id}, shard ${shard}`,
      );
    }
    // What callers ask is of no job.
    const callers = sessions.filter(({ job: of }) => of === undefined);
    expect(callers.map(({ requests }) => requests)).toContain(1);
    // The same request again is the same job, which lists its input again.
    writeFileSync(path.join(folder, 'in', 'mails-2.jsonl'), '{"id":300,"text":"lunch at noon"}');
    const again = await submit(job.request);
    expect(again.body).toMatchObject({ id: job.id, ended_at: null, waiting_for: null });
    expect(await finished(job.id)).toMatchObject({ state: 'done', rows: { done: 301 } });
    expect(idsOf(rowsIn(path.join(folder, 'same')))).toEqual(numbers(301));
    const { body: list } = await request<JobsView>(server, 'GET', '/v1/jobs');
    expect(list.jobs.filter(({ id }) => id === job.id)).toHaveLength(1);
  });

  test('refuses what cannot go well before it begins', async () => {
    const input = path.join(folder, 'in', 'mails.jsonl');
    const output = path.join(folder, 'refused');
    const refused: [object, RegExp][] = [
      [{ input: '/etc/passwd', output }, /jobs\.folders/],
      [{ input: path.join(folder, '..', '..', 'etc', 'passwd'), output }, /jobs\.folders/],
      [{ input, output: path.join(folder, '..', 'elsewhere') }, /jobs\.folders/],
      [{ input: 'http://127.0.0.1:1/x.jsonl', output }, /private|127\.0\.0\.1/],
      [{ input: 'ftp://example.org/x.jsonl', output }, /ftp/],
      [{ input, output, model: 'nothing' }, /nothing/],
      [{ input, output, task: 'token-classification' }, /the model does/],
      [{ input, output, query: 'x', candidate_labels: ['a'] }, /candidate_labels/],
      [{ input, output, shard_rows: 1 }, /shard_rows/],
    ];
    for (const [body, reason] of refused) {
      const { status, body: error }: ErrorReply = await request(server, 'POST', '/v1/jobs', {
        body,
      });
      expect(status, JSON.stringify(body)).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(500);
      expect(error.error.message).toMatch(reason);
    }
    expect(await request(server, 'GET', '/v1/jobs/none')).toMatchObject({ status: 404 });
  });

  describe.skipIf(chromium === undefined)('on the page', () => {
    test('a running job is shown with its shards and cancelled there; then it is tried again', async () => {
      const browser = await Browser.start();
      const page = await browser.open(server);
      const output = path.join(folder, 'shown');
      const { body: job } = await submit({
        ...{ input: path.join(folder, 'in', 'long.jsonl'), output, shard_rows: 100 },
      });
      const box = panel(page, 'Jobs');
      const item = box.locator(`[data-job="${job.id}"]`);
      await item.getByText(/[1-9][\d,]* of about [\d,]+ rows/).waitFor();
      await item.getByText(/: shard \d/).waitFor();
      expect(await findLayoutFaults(page)).toEqual([]);
      expect(await findViolations(page)).toEqual([]);
      await shootPart(box, 'jobs-running');
      const sessionsBox = panel(page, 'Sessions');
      await sessionsBox.getByText(`job ${job.id}, shard`).first().waitFor();
      await shootPart(sessionsBox, 'jobs-sessions');
      // Newer jobs do not push an open one off the page.
      for (const n of numbers(6)) {
        const newer = { input: path.join(folder, 'in', 'mails.jsonl'), shard_rows: 1000 };
        const { body: other } = await submit({ ...newer, output: path.join(folder, `newer-${n}`) });
        await post(server, `/v1/jobs/${other.id}/cancel`, {});
      }
      await box.getByText(/and \d+ ended jobs more/).waitFor();
      // The last one may be shown as open for a moment more.
      await box.locator(`li:first-child[data-job="${job.id}"]`).waitFor();
      expect(await box.locator('li[data-job]').count()).toBe(5);
      await item.getByRole('button', { name: 'cancel' }).click();
      await item.getByText('cancelled').waitFor();
      const cancelled = await finished(job.id);
      expect(cancelled.shards.done).toBeLessThan(cancelled.shards.known);
      const parts = partsIn(output);
      await item.getByRole('button', { name: 'retry' }).click();
      await until('more parts', () => partsIn(output) > parts);
      await post(server, `/v1/jobs/${job.id}/cancel`, {});
      await browser.close();
      expect(browser.faults).toEqual([]);
    });
  });
});
