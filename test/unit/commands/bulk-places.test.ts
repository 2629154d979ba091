import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { jobRequestOf } from '../../../src/commands/bulk/bulk-flags.js';
import { all, localPlaces, signal, temporaryFolder } from '../jobs/reading.js';

afterEach(() => vi.restoreAllMocks());

/** What a job asked for in that folder would read. */
async function readIn(folder: string, ...inputs: string[]) {
  vi.spyOn(process, 'cwd').mockReturnValue(folder);
  const { input, output } = jobRequestOf(inputs, { out: 'out' } as never);
  vi.restoreAllMocks();
  const listed = localPlaces().list(typeof input === 'string' ? [input] : input, signal, {
    output,
  });
  return (await all(listed)).map(({ url }) => url);
}

test.each(['[ab]', 'a*', 'a?', '{a,b}', 'x[', 'x{', '[!b]'])(
  'in a folder named %s, a path or a pattern names files of that folder alone',
  async (name) => {
    const above = await temporaryFolder();
    for (const folder of ['a', 'ab', 'b', name]) {
      await mkdir(path.join(above, folder, 'deep'), { recursive: true });
      await writeFile(path.join(above, folder, 'm1.jsonl'), '{}');
      await writeFile(path.join(above, folder, 'deep', 'm2.jsonl'), '{}');
    }
    const own = path.join(above, name);
    await writeFile(path.join(own, 'c[1].jsonl'), '{}');
    const [m1, m2] = [path.join(own, 'm1.jsonl'), path.join(own, 'deep', 'm2.jsonl')];
    expect(await readIn(own, 'm*.jsonl')).toEqual([m1]);
    expect(await readIn(own, '**/m?.jsonl')).toEqual([m2, m1]);
    expect(await readIn(own, 'd*/')).toEqual([m2]);
    expect(await readIn(own, 'm1.jsonl')).toEqual([m1]);
    expect(await readIn(own, 'c[1].jsonl')).toEqual([path.join(own, 'c[1].jsonl')]);
    expect(await readIn(own, 'deep')).toEqual([m2]);
    expect(await readIn(path.join(own, 'deep'), '../m*.jsonl')).toEqual([m1]);
    await writeFile(path.join(above, 'a', 'other.jsonl'), '{}');
    await expect(readIn(own, 'other.jsonl')).rejects.toThrow(`${own}/other.jsonl is not there`);
  },
);

test('the output is a folder, never a pattern', () => {
  vi.spyOn(process, 'cwd').mockReturnValue('/w/[ab]');
  expect(jobRequestOf(['x'], { out: 'out' } as never).output).toBe('/w/[ab]/out');
});
