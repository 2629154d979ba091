/** A memory cgroup of our own, v1 or v2, below the one that this process is in. */
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type CgroupVersion, findCgroup } from '../../../src/system/cgroup/cgroup-tree.js';
import { type Deferring, NotRunError } from '../benchmark.js';

const PREFIX = 'plimsoll-bench-';
const FILES = {
  v1: {
    limit: 'memory.limit_in_bytes',
    withSwap: 'memory.memsw.limit_in_bytes',
    usage: 'memory.usage_in_bytes',
    peak: 'memory.max_usage_in_bytes',
    events: 'memory.oom_control',
  },
  v2: {
    limit: 'memory.max',
    withSwap: 'memory.swap.max',
    usage: 'memory.current',
    peak: 'memory.peak',
    events: 'memory.events',
  },
} as const;
const REMOVE_TRIES = 50;
const REMOVE_PAUSE_MS = 100;

let made = 0;

export class MemoryCgroup {
  readonly directory: string;
  readonly version: CgroupVersion;

  private constructor(directory: string, version: CgroupVersion) {
    this.directory = directory;
    this.version = version;
  }

  /**
   * Makes one with that limit and without swap; it is removed when the benchmark ends.
   *
   * @throws NotRunError where no cgroup can be made.
   */
  static async create(context: Deferring, limitBytes: number): Promise<MemoryCgroup> {
    const place = await findCgroup('memory', '/');
    if (place === undefined) throw new NotRunError('there is no memory cgroup controller here');
    const reasons: string[] = [];
    for (const parent of place.directories) {
      made += 1;
      const directory = path.join(parent, `${PREFIX}${process.pid}-${made}`);
      const cgroup = new MemoryCgroup(directory, place.version);
      try {
        await removeLeftOvers(parent);
        await mkdir(directory);
        context.defer(() => cgroup.#remove());
        await cgroup.#limit(limitBytes);
        return cgroup;
      } catch (error) {
        reasons.push(String(error instanceof Error ? error.message : error));
        await cgroup.#remove().catch(() => undefined);
      }
      // Under v1 only below our own cgroup: further up our limits would no longer hold.
      if (place.version === 'v1') break;
    }
    const hint = 'run it as root, or in a delegated cgroup (systemd-run --scope -p Delegate=yes)';
    throw new NotRunError(`no writable memory cgroup: ${reasons[0] ?? 'none found'}; ${hint}`);
  }

  /** The command that starts a process inside; its children stay inside too. */
  command(command: readonly string[]): readonly string[] {
    const script = 'echo $$ > "$0" && exec "$@"';
    return ['/bin/sh', '-c', script, path.join(this.directory, 'cgroup.procs'), ...command];
  }

  /** Processes in it that the kernel killed for lack of memory. */
  async kills(): Promise<number> {
    const events = await this.#read(FILES[this.version].events);
    return Number(/^oom_kill (\d+)$/m.exec(events)?.[1] ?? Number.NaN);
  }

  async usageBytes(): Promise<number> {
    return Number(await this.#read(FILES[this.version].usage));
  }

  /** The most it ever held, page cache included; NaN where the kernel does not say. */
  async peakBytes(): Promise<number> {
    const text = await this.#read(FILES[this.version].peak).catch(() => 'NaN');
    return Number(text);
  }

  async #limit(bytes: number): Promise<void> {
    const files = FILES[this.version];
    await this.#write(files.limit, String(bytes));
    // There is no such file where swap is not accounted for.
    await this.#write(files.withSwap, this.version === 'v1' ? String(bytes) : '0').catch(
      () => undefined,
    );
  }

  #read(name: string): Promise<string> {
    return readFile(path.join(this.directory, name), 'utf8');
  }

  #write(name: string, text: string): Promise<void> {
    // Without O_CREAT: a file that the controller does not have must be an error.
    return writeFile(path.join(this.directory, name), text, { flag: 'r+' });
  }

  /** Processes that have just ended can keep it busy for a moment. */
  async #remove(): Promise<void> {
    for (let tries = 0; ; tries += 1) {
      try {
        await rmdir(this.directory);
        return;
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? error.code : '';
        if (code === 'ENOENT') return;
        if (code !== 'EBUSY' || tries >= REMOVE_TRIES) throw error;
        await new Promise((resolve) => setTimeout(resolve, REMOVE_PAUSE_MS));
      }
    }
  }
}

/** Removes what a killed benchmark left behind; a cgroup that is in use cannot be removed. */
async function removeLeftOvers(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(PREFIX) || name.startsWith(`${PREFIX}${process.pid}-`)) continue;
    await rmdir(path.join(parent, name)).catch(() => undefined);
  }
}
