import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { expandBraces, Glob } from '../../../../src/jobs/files/glob.js';
import { extensionOf, formatOf } from '../../../../src/jobs/files/names.js';
import { all, localPlaces, one, signal, temporaryFolder } from '../reading.js';

const places = localPlaces();
const chunksOf = async function* (...chunks: string[]) {
  for (const chunk of chunks) yield Buffer.from(chunk);
};

async function folderWith(...files: string[]): Promise<string> {
  const folder = await temporaryFolder();
  for (const file of files) {
    await mkdir(path.dirname(path.join(folder, file)), { recursive: true });
    await writeFile(path.join(folder, file), '{"a":1}\n');
  }
  return folder;
}

const list = async (folder: string, ...patterns: string[]) => {
  const found = await all(
    places.list(
      patterns.map((each) => path.join(folder, each)),
      signal,
    ),
  );
  return found.map(({ url }) => path.relative(folder, url));
};

describe('globs', () => {
  test.each([
    ['*.jsonl', 'a.jsonl', true],
    ['*.jsonl', '.a.jsonl', false],
    ['*.jsonl', 'x/a.jsonl', false],
    ['**/*.jsonl', 'a.jsonl', true],
    ['**/*.jsonl', 'x/y/a.jsonl', true],
    ['**/*.jsonl', 'x/.y/a.jsonl', false],
    ['x/**', 'x/y/z', true],
    ['x/**', 'y/x', false],
    ['?.csv', 'ä.csv', true],
    ['{a,b{1,2}}.csv', 'b2.csv', true],
    ['{a,b{1,2}}.csv', 'b3.csv', false],
    ['[a-c]x[!0-9]', 'bxq', true],
    ['[a-c]x[!0-9]', 'bx1', false],
    ['a*b*c', 'aXbYbZc', true],
    ['a*b*c', 'aXbYbZ', false],
    ['a.c', 'abc', false],
  ])('%s, %s: %s', (pattern, name, matches) => {
    expect(new Glob(pattern).matches(name)).toBe(matches);
  });

  test('many wildcards take no longer', () => {
    const pattern = new Glob(`${'*a'.repeat(500)}b`);
    expect(pattern.matches('a'.repeat(4000))).toBe(false);
  });

  test('too many alternatives are refused', () => {
    expect(() => expandBraces('{1,2,3,4,5,6,7,8,9,0}'.repeat(4))).toThrow('more than 1000');
  });

  test('names without wildcards match themselves', () => {
    const name = fc.string({ unit: fc.constantFrom('a', 'b', '-', '_', '1', ' ', '.') });
    fc.assert(
      fc.property(fc.array(name, { minLength: 1 }), (names) => {
        expect(new Glob(names.join('/')).matches(names.join('/'))).toBe(true);
      }),
    );
  });
});

describe('names', () => {
  test.each([
    ['mails.jsonl', 'jsonl', 'none'],
    ['/a.b/mails.2024.NDJSON.gz', 'jsonl', 'gzip'],
    ['https://host/mails.csv.zst?sig=a.b', 'csv', 'zstd'],
    ['s3://bucket/mails.tsv', 'csv', 'none'],
    ['mails.parquet', 'parquet', 'none'],
  ])('%s is %s, %s', (name, format, compression) => {
    expect(formatOf(name)).toMatchObject({ format, compression });
  });

  test.each(['mails', 'mails.txt', 'mails.parquet.gz', 'csv', 'mails.gz'])(
    '%s says nothing',
    (name) => {
      expect(formatOf(name)).toBeUndefined();
    },
  );

  test('what parts are called is known again', () => {
    expect(extensionOf('csv', 'gzip')).toBe('.csv.gz');
    expect(formatOf(`part${extensionOf('parquet', 'zstd')}`)).toMatchObject({ format: 'parquet' });
  });
});

describe('files of this machine', () => {
  test('a folder that is allowed, and a pattern below it: its own wildcards are none', async () => {
    const above = await folderWith(
      'a/x.jsonl',
      '[ab]/x.jsonl',
      '[ab]/deep/y.jsonl',
      '{a,b/x.jsonl',
    );
    for (const name of ['[ab]', '{a,b']) {
      const allowed = path.join(above, name);
      const found = await all(localPlaces([allowed]).list([`${allowed}/*.jsonl`], signal));
      expect(found.map(({ url }) => url)).toEqual([path.join(allowed, 'x.jsonl')]);
    }
    const within = path.join(above, '[ab]');
    const deep = await all(localPlaces([above, within]).list([`${within}/**`], signal));
    expect(deep).toHaveLength(2);
    // As the command line writes a folder with wildcards in its name.
    const written = await all(localPlaces([within]).list([`${above}/[[]ab]/*.jsonl`], signal));
    expect(written.map(({ url }) => url)).toEqual([path.join(within, 'x.jsonl')]);
  });

  test('files, folders and globs, each file once, in order', async () => {
    const folder = await folderWith(
      'b.jsonl',
      'a.csv',
      'x/c.jsonl',
      '.hidden.jsonl',
      '_SUCCESS',
      'x/m.json',
      'n.txt',
    );
    expect(await list(folder, '')).toEqual(['a.csv', 'b.jsonl', 'x/c.jsonl']);
    expect(await list(folder, '*.jsonl', 'b.jsonl', '**/*.jsonl')).toEqual([
      'b.jsonl',
      'x/c.jsonl',
    ]);
    expect(await list(folder, 'n.txt')).toEqual(['n.txt']);
    expect(await list(folder, '{n,m}.txt', 'x/*')).toEqual(['n.txt', 'x/c.jsonl', 'x/m.json']);
    await expect(list(folder, '*.parquet')).rejects.toThrow('no file matches');
    await expect(list(folder, 'none.csv')).rejects.toThrow('none.csv is not there');
  });

  test('a name with wildcards in it is that file; file:// is understood', async () => {
    const folder = await folderWith('mails[1].jsonl', 'mails1.jsonl');
    expect(await list(folder, 'mails[1].jsonl')).toEqual(['mails[1].jsonl']);
    const found = await all(places.list([`file://${folder}/mails1.jsonl`], signal));
    expect(found).toHaveLength(1);
  });

  const PART = 'part-000000-0123456789ab.jsonl';

  test('the output of the job within its input is no input', async () => {
    const folder = await folderWith(
      'a.jsonl',
      'x/b.jsonl',
      `x/${PART}`,
      `out/${PART}`,
      'out/manifest-0123456789abcdef.json',
      'out/notes.jsonl',
    );
    const listed = async (pattern: string, output: string) => {
      const found = places.list([path.join(folder, pattern)], signal, {
        output: path.join(folder, output),
      });
      return (await all(found)).map(({ url }) => path.relative(folder, url));
    };
    expect(await listed('', 'out')).toEqual(['a.jsonl', `x/${PART}`, 'x/b.jsonl'].sort());
    expect(await listed('', 'out/')).not.toContain(`out/${PART}`);
    // Parts of another job are input as any other file is.
    expect(await listed('out', 'elsewhere')).toEqual(['out/notes.jsonl', `out/${PART}`]);
    expect(await listed('**/*', 'out')).toEqual([
      'a.jsonl',
      'out/notes.jsonl',
      'x/b.jsonl',
      `x/${PART}`,
    ]);
    expect(await listed('out/*.jsonl', 'out')).toEqual(['out/notes.jsonl']);
    expect(await listed('x/*.jsonl', '')).toEqual(['x/b.jsonl', `x/${PART}`]);
    expect(await listed(`out/${PART}`, 'out')).toEqual([`out/${PART}`]);
    await symlink(path.join(folder, 'out'), path.join(folder, 'link'));
    expect(await listed('', 'link')).toEqual(await listed('', 'out'));
    await expect(listed('out', 'link')).rejects.toThrow('is the folder that is read');
    await expect(listed('', '')).rejects.toThrow('is the folder that is read');
    await expect(listed('out/part-*', 'out')).rejects.toThrow('but the 1 that lie in the output');
  });

  test('a glob that ends with a slash is one of folders', async () => {
    const folder = await folderWith('2024-1/a.csv', '2024-2/x/b.csv', '2024-2/n.txt', '2024-3.csv');
    const found = places.list([`${folder}/2024-*/`], signal);
    expect((await all(found)).map(({ url }) => path.relative(folder, url))).toEqual([
      '2024-1/a.csv',
      '2024-2/x/b.csv',
    ]);
    await expect(list(folder, '2024-1*')).rejects.toThrow('a pattern of folders ends with /');
  });

  test('a folder with nothing that can be read says so', async () => {
    const folder = await folderWith('notes.txt');
    await expect(list(folder, '')).rejects.toThrow('no file whose name says');
  });

  test('links in a circle end; a pipe is no file', async () => {
    const folder = await folderWith('x/a.csv');
    await symlink(folder, path.join(folder, 'x', 'back'));
    expect(await list(folder, '**/*.csv')).toEqual(['x/a.csv']);
    spawnSync('mkfifo', [path.join(folder, 'pipe.csv')]);
    await expect(list(folder, 'pipe.csv')).rejects.toThrow('is no file');
  });

  test('a file that changed, or went away, is refused', async () => {
    const folder = await folderWith('a.csv', 'b.csv');
    const [a, b] = [await one(places, `${folder}/a.csv`), await one(places, `${folder}/b.csv`)];
    await utimes(a.url, new Date(1), new Date(1));
    await rm(b.url);
    await expect(all(places.read(a, { start: 0 }, signal))).rejects.toThrow('another file');
    await expect(all(places.read(b, { start: 0 }, signal))).rejects.toThrow('is not there');
  });

  test('only what is within the allowed folders is read and written', async () => {
    const [folder, other] = [await folderWith('in/a.csv'), await folderWith('secret.csv')];
    const allowed = localPlaces([`${folder}/in`]);
    expect(await all(allowed.list([`${folder}/in/*.csv`], signal))).toHaveLength(1);
    await symlink(other, `${folder}/in/link`);
    await symlink(`${other}/secret.csv`, `${folder}/in/link.csv`);
    expect(await all(allowed.list([`${folder}/in/../in/a.csv`], signal))).toHaveLength(1);
    for (const place of [
      `${other}/secret.csv`,
      `${other}/none.csv`,
      `${folder}/in/../../${path.basename(other)}/secret.csv`,
      `${folder}/in/link/secret.csv`,
      `${folder}/in/link.csv`,
      `${folder}/in/link/*`,
      `${folder}/*/a.csv`,
      '/etc/passwd',
    ]) {
      await expect(all(allowed.list([place], signal)), place).rejects.toThrow('is not allowed');
    }
    const file = { ...(await one(places, `${other}/secret.csv`)), url: `${folder}/in/link.csv` };
    await expect(all(allowed.read(file, { start: 0 }, signal))).rejects.toThrow('is not allowed');
    for (const place of [other, `${folder}/new`]) {
      expect(() => allowed.writer(place), place).toThrow('is not allowed');
    }
    for (const place of [`${folder}/in/link`, `${folder}/in/link/new`]) {
      const written = allowed.writer(place).write('part-1.csv', chunksOf('x'), signal);
      await expect(written, place).rejects.toThrow('is not allowed');
    }
    const { url } = await allowed
      .writer(`${folder}/in/new/out`)
      .write('part-1.csv', chunksOf('x'), signal);
    expect(await readFile(url, 'utf8')).toBe('x');
    expect(await readdir(other)).toEqual(['secret.csv']);
    await expect(all(localPlaces([]).list([other], signal))).rejects.toThrow('may use no folder');
  });
});

describe('parts on this machine', () => {
  test('a part is written once; who writes it again gets what is there', async () => {
    const folder = path.join(await temporaryFolder(), 'new', 'out');
    const writer = places.writer(folder);
    const first = await writer.write('part-1.csv', chunksOf('one', 'two'), signal);
    expect(first).toMatchObject({ url: path.join(folder, 'part-1.csv'), bytes: 6 });
    expect(await writer.write('part-1.csv', chunksOf('other'), signal)).toEqual(first);
    expect(await writer.find('part-1.csv', signal)).toEqual(first);
    expect(await writer.find('part-2.csv', signal)).toBeUndefined();
    await writer.replace('part-1.csv', chunksOf('new'), signal);
    expect(await readFile(first.url, 'utf8')).toBe('new');
    expect(await readdir(folder)).toEqual(['part-1.csv']);
  });

  test('many at once: one of them is there, whole, and all say the same', async () => {
    const folder = await temporaryFolder();
    const writer = places.writer(folder);
    const written = await Promise.all(
      Array.from({ length: 8 }, (_, n) =>
        writer.write('part-1.csv', chunksOf(`${n}`, 'x'), signal),
      ),
    );
    expect(new Set(written.map(({ sha256 }) => sha256)).size).toBe(1);
    expect(await readdir(folder)).toEqual(['part-1.csv']);
  });

  test('what fails leaves nothing; what killed attempts left is tidied up', async () => {
    const folder = await temporaryFolder();
    const writer = places.writer(folder);
    const failing = async function* () {
      yield Buffer.from('some');
      throw new Error('the model is gone');
    };
    await expect(writer.write('part-1.csv', failing(), signal)).rejects.toThrow(
      'the model is gone',
    );
    expect(await readdir(folder)).toEqual([]);
    const [left, old, fresh] = ['.part-1.csv.0.tmp', '.part-2.csv.0.tmp', '.part-3.csv.1.tmp'];
    for (const name of [left, old, fresh, 'mine.tmp'])
      await writeFile(path.join(folder, name), 'x');
    for (const name of [old, 'mine.tmp']) await utimes(path.join(folder, name), 1, 1);
    await writer.write('part-1.csv', chunksOf('x'), signal);
    expect(await writer.tidy(signal)).toBe(1);
    expect((await readdir(folder)).sort()).toEqual([fresh, 'mine.tmp', 'part-1.csv']);
  });

  test('where nothing can be written, it says why', async () => {
    const folder = await folderWith('file');
    const write = (place: string) =>
      places.writer(place).write('part-1.csv', chunksOf('x'), signal);
    await expect(write(`${folder}/file`)).rejects.toThrow('is no folder');
    expect(() => places.writer('https://host/out')).toThrow(
      'parts are written to folders and s3://',
    );
    expect(() => places.writer('ftp://host/out')).toThrow('only');
    await expect(places.writer(folder).write('../x', chunksOf(), signal)).rejects.toThrow(
      'no name',
    );
  });

  const disk = smallDisk();
  test.skipIf(disk === undefined)('a full disk is told, and nothing is left on it', async () => {
    const folder = disk ?? '';
    const big = async function* () {
      for (let n = 0; n < 100; n += 1) yield Buffer.alloc(10_000);
    };
    const written = places.writer(folder).write('part-1.csv', big(), signal);
    await expect(written).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    await expect(written).rejects.toThrow('there is no space for');
    expect(await readdir(folder)).toEqual([]);
  });
});

/** A disk of 64 KB, where this user may mount one. */
function smallDisk(): string | undefined {
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-disk-'));
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', folder]);
  afterAll(() => {
    if (status === 0) spawnSync('umount', [folder]);
    rmdirSync(folder);
  });
  return status === 0 ? folder : undefined;
}
