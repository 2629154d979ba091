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

/**
 * `minor` collects the young generation alone, in about a millisecond. `thorough` gives the room for young objects
 * back too, which V8 keeps through all the others; it takes as long as some three full ones.
 */
export type CollectionKind = 'full' | 'minor' | 'thorough';

let gc: ((kind: 'full' | 'minor') => void) | undefined;
let thorough: (() => void) | undefined;

/**
 * V8's own `gc`. V8 puts it into contexts that are made while the flag is set, so it can be had from
 * a new context although the process was started without --expose-gc. Found once and kept, as
 * each new context costs memory itself.
 */
function findGc(): (kind: 'full' | 'minor') => void {
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
 * V8's answer to a system that is short of memory, as its inspector offers it to heap profilers
 * (HeapProfiler.collectGarbage): at least two full collections, after which the young generation is as small as
 * at the start. A session with this process itself opens no port and enables no debugger.
 */
function findThorough(): () => void {
  try {
    const { Session } = process.getBuiltinModule('node:inspector');
    const session = new Session();
    session.connect();
    return () => session.post('HeapProfiler.collectGarbage');
  } catch {
    // A Node that was built without the inspector.
    return () => collectGarbage('full');
  }
}

/**
 * Runs a garbage collection, which blocks this thread, and returns the milliseconds that it
 * took. Memory of dropped Buffers goes back to the allocator within it or soon after.
 */
export function collectGarbage(kind: CollectionKind = 'full'): number {
  gc ??= findGc();
  if (kind === 'thorough') thorough ??= findThorough();
  const startedAtMs = performance.now();
  if (kind === 'thorough') thorough?.();
  else gc(kind);
  return performance.now() - startedAtMs;
}
