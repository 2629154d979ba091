/** What `plimsoll bulk` reads and writes: outputs within inputs, mixed formats, columns that clash, places that do not answer. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { freePort } from '../servers/free-port.js';
import { run, temporaryFolder } from './harness.js';

async function folderWith(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), content);
  }
  return folder;
}

const bulk = (folder: string, ...args: string[]) =>
  run(['bulk', ...args, '--model', 'spam', '--data', 'data'], {
    cwd: folder,
    environment: { PLIMSOLL_JOBS_PRIVATE_ADDRESSES: 'true' },
  });
const partsIn = (folder: string) =>
  readdirSync(folder)
    .filter((name) => name.startsWith('part-'))
    .sort();

test('with the output within the input, and files of several formats, a second run does the same', async () => {
  const folder = await folderWith({
    'mails/a.csv': 'id,text\n1,free money\n2,lunch\n',
    'mails/b.jsonl': '{"id":3,"text":"winner"}\n',
  });
  const args = ['mails/', '--id', 'id', '--out', 'mails/results'];
  const first = await bulk(folder, ...args);
  expect(first.code, first.stderr).toBe(0);
  expect(first.stdout).toMatch(/done: 3 rows/);
  const out = path.join(folder, 'mails', 'results');
  const parts = partsIn(out);
  expect(parts.map((name) => path.extname(name))).toEqual(['.csv', '.csv']);
  const heads = parts.map((name) => readFileSync(path.join(out, name), 'utf8').split('\n')[0]);
  expect(new Set(heads)).toEqual(new Set(['id,label,score,model,commit,dtype,error']));
  const second = await bulk(folder, ...args);
  expect(second.stdout, second.stderr).toMatch(/done: 3 rows/);
  expect(partsIn(out)).toEqual(parts);
});

test('what cannot go well is refused with the reason, before a row is read', async () => {
  const folder = await folderWith({ 'mails/a.jsonl': '{"text":"x","label":"y"}\n' });
  const nobody = await freePort();
  const refused = async (...args: string[]) => {
    const { code, stderr } = await bulk(folder, ...args);
    expect(code).toBe(1);
    return stderr;
  };
  expect(await refused('mails', '--out', 'mails')).toContain('is the folder that is read');
  expect(await refused('mails', '--out', 'out', '--keep', 'label')).toContain(
    'cannot name "label": the parts have a column of that name',
  );
  expect(await refused(`http://127.0.0.1:${nobody}/a.jsonl`, '--out', 'out')).toMatch(
    /the input or the output of the job cannot be reached: .*ECONNREFUSED/,
  );
  expect(readdirSync(folder).sort()).toEqual(['data', 'mails']);
});
