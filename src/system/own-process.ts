import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Tells the kernel how gladly to kill this process when memory runs out: `score` from −1000 (never)
 * to 1000 (first), written to oom_score_adj (Documentation/filesystems/proc.rst). Children inherit
 * it. Returns whether it worked: it does not without /proc, for a score out of range, or when it
 * goes below the lowest that a privileged process has set (that needs CAP_SYS_RESOURCE).
 */
export function adviseOutOfMemoryKiller(score: number, root = '/'): boolean {
  try {
    // 'r+' and not 'w': where there is no such file, none shall be made.
    writeFileSync(join(root, 'proc/self/oom_score_adj'), String(score), { flag: 'r+' });
    return true;
  } catch {
    return false;
  }
}

/** `minor` collects the young generation alone, in about a millisecond. */
export type CollectionKind = 'full' | 'minor';

let gc: ((kind: CollectionKind) => void) | undefined;

/**
 * V8's own `gc`. V8 puts it into contexts that are made while the flag is set, so it can be had from
 * a new context although the process was started without --expose-gc. Found once and kept, as
 * each new context costs memory itself.
 */
function findGc(): (kind: CollectionKind) => void {
  setFlagsFromString('--expose-gc');
  const found: unknown = globalThis.gc ?? runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  if (typeof found !== 'function') throw new Error('V8 gave no gc function');
  return (kind) => {
    if (kind === 'full') found();
    else found({ type: 'minor' });
  };
}

/**
 * Runs a garbage collection, which blocks this thread, and returns the milliseconds that it
 * took. Memory of dropped Buffers goes back to the allocator within it or soon after.
 */
export function collectGarbage(kind: CollectionKind = 'full'): number {
  gc ??= findGc();
  const startedAtMs = performance.now();
  gc(kind);
  return performance.now() - startedAtMs;
}
