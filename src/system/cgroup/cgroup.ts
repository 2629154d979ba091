import { parseFlatKeyed, readKernelFile } from '../kernel-file.js';
import {
  findMemoryLimits,
  MEMORY_FILES,
  type MemoryLimits,
  parseByteCount,
} from './cgroup-limits.js';
import type { CgroupVersion } from './cgroup-tree.js';

/**
 * What our memory cgroup may use and does use. Meanings after cgroup-v2.rst, "Memory Interface
 * Files", and cgroup-v1/memory.rst.
 *
 * A process is under the limits of every cgroup above it. `limitBytes` and `highBytes` are the smallest of them that
 * can be seen, and the usage is that of the cgroup which sets the smaller of the two, siblings included: that is what
 * the kernel compares. Of equal bounds the outer one counts, since its usage is never the smaller.
 */
export interface CgroupMemory {
  readonly version: CgroupVersion;
  /** Directory of our own cgroup, as this process sees it. */
  readonly path: string;
  /** Directory of the cgroup that limit and usage belong to: `path` or one above it. */
  readonly limitPath: string;
  /** The smallest memory.max (v1: memory.limit_in_bytes); undefined: no limit. */
  readonly limitBytes: number | undefined;
  /** The smallest memory.high, above which the kernel slows us down to reclaim (v2 only). */
  readonly highBytes?: number;
  /** memory.current (v1: memory.usage_in_bytes), page cache included. */
  readonly usageBytes: number;
  /** inactive_file (v1: total_inactive_file): page cache not touched lately, the first to go. */
  readonly inactiveFileBytes: number;
  /**
   * active_file (v1: total_active_file): page cache in use, such as mapped weights of busy models.
   * The kernel can drop it as well, at the price of reading it again; it is in the working set.
   */
  readonly activeFileBytes: number;
  /** Usage − inactive file: what the kubelet calls the working set. */
  readonly workingSetBytes: number;
  /** Processes of our own cgroup that the kernel killed for memory (v1: since Linux 4.13). */
  readonly oomKills?: number;
}

/**
 * Reads our memory cgroup again and again. Finding the cgroup and walking up its limits is done
 * once per `limitsMaxAgeMs` (limits do change: `docker update`, in-place resize of a pod) and
 * when a reading fails (the process was moved); between these a reading is three small files.
 */
export class CgroupMemoryReader {
  readonly #root: string;
  readonly #limitsMaxAgeMs: number;
  #limits: MemoryLimits | undefined;
  #resolvedAtMs = Number.NEGATIVE_INFINITY;

  /** `root` stands in for `/` in tests, which lay out a tree below it. */
  constructor(root = '/', limitsMaxAgeMs = 30_000) {
    this.#root = root;
    this.#limitsMaxAgeMs = limitsMaxAgeMs;
  }

  /** The reading now; undefined when we are in no memory cgroup that can be seen. */
  async read(): Promise<CgroupMemory | undefined> {
    const wasCached = performance.now() - this.#resolvedAtMs < this.#limitsMaxAgeMs;
    if (!wasCached) await this.#resolve();
    const reading = await this.#readUsage();
    if (reading !== undefined || !wasCached || this.#limits === undefined) return reading;
    await this.#resolve();
    return this.#readUsage();
  }

  async #resolve(): Promise<void> {
    this.#limits = await findMemoryLimits(this.#root);
    this.#resolvedAtMs = performance.now();
  }

  async #readUsage(): Promise<CgroupMemory | undefined> {
    const limits = this.#limits;
    if (limits === undefined) return undefined;
    const { version, path, limitPath, limitBytes, highBytes } = limits;
    const files = MEMORY_FILES[version];
    const [usageText, stat, events] = await Promise.all([
      readKernelFile(this.#root, `${limitPath}/${files.usage}`),
      readKernelFile(this.#root, `${limitPath}/memory.stat`),
      readKernelFile(this.#root, `${path}/${files.events}`),
    ]);
    const usageBytes = parseByteCount(usageText);
    if (usageBytes === undefined) return undefined;
    const stats = parseFlatKeyed(stat ?? '');
    const inactiveFileBytes = stats.get(files.inactiveFile) ?? 0;
    const oomKills = parseFlatKeyed(events ?? '').get('oom_kill');
    return {
      version,
      path,
      limitPath,
      limitBytes,
      ...(highBytes === undefined ? {} : { highBytes }),
      usageBytes,
      inactiveFileBytes,
      activeFileBytes: stats.get(files.activeFile) ?? 0,
      // The two files are read one after the other, and the kernel's counters lag by CPU.
      workingSetBytes: Math.max(0, usageBytes - inactiveFileBytes),
      ...(oomKills === undefined ? {} : { oomKills }),
    };
  }
}
