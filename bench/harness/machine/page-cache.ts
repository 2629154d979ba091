/** Takes files out of the page cache, and checks that they are out. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * posix_fadvise(POSIX_FADV_DONTNEED) on each file through dd(1), which needs no rights and touches no
 * other files; then the kernel's drop_caches (root only) if something is left.
 *
 * @returns how it was done, and how many MB of the files are still cached (NaN where that is unknown)
 */
export async function dropFromPageCache(
  files: readonly string[],
): Promise<{ readonly method: string; readonly leftMb: number }> {
  let method = 'posix_fadvise(DONTNEED) on each file';
  for (const file of files) {
    await run('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none']).catch(() => {
      method = 'nothing: dd has no nocache';
    });
  }
  let leftMb = await cachedMb(files);
  if (!(leftMb < 1)) {
    try {
      await writeFile('/proc/sys/vm/drop_caches', '1', { flag: 'r+' });
      method += ', then /proc/sys/vm/drop_caches';
      leftMb = await cachedMb(files);
    } catch {
      // Not root: `leftMb` says what is left.
    }
  }
  return { method, leftMb };
}

/** MB of the files that are in the page cache, by fincore(1); NaN where that is not installed. */
export async function cachedMb(files: readonly string[]): Promise<number> {
  try {
    const { stdout } = await run('fincore', ['--bytes', '--noheadings', '-o', 'RES', ...files]);
    const bytes = stdout.split('\n').reduce((sum, line) => sum + (Number(line.trim()) || 0), 0);
    return bytes / 2 ** 20;
  } catch {
    return Number.NaN;
  }
}
