import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Sets how early the kernel kills this process when memory runs out: `score` from −1000 (never) to 1000 (first), written
 * to oom_score_adj (Documentation/filesystems/proc.rst). Children inherit it.
 *
 * @returns false without /proc, for a score out of range, or for one below the lowest that a privileged process has set
 * (that needs CAP_SYS_RESOURCE)
 */
export function adviseOutOfMemoryKiller(score: number, root = '/'): boolean {
  try {
    // 'r+' and not 'w': do not create the file where the kernel has none.
    writeFileSync(join(root, 'proc/self/oom_score_adj'), String(score), { flag: 'r+' });
    return true;
  } catch {
    return false;
  }
}

/**
 * `minor` collects the young generation alone, in about a millisecond. `quick` collects everything, and leaves what is in use where it
 * is; `full` moves it together, which takes three times as long. `thorough` also shrinks the young generation, which the other kinds
 * leave as large as it is; it takes as long as about three of `full`.
 */
export type CollectionKind = 'minor' | 'quick' | 'full' | 'thorough';

let gc: ((kind: 'full' | 'minor') => void) | undefined;
let thorough: (() => void) | undefined;

/**
 * V8's own `gc`. V8 puts it into contexts that are created while the flag is set, so a new context has it although the
 * process was started without --expose-gc. Kept after the first time, because each new context takes memory.
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
 * What V8 does when the system is short of memory, as the inspector offers it to heap profilers
 * (HeapProfiler.collectGarbage): at least two full collections, after which the young generation is as small as
 * at the start. An inspector session with this process itself opens no port and enables no debugger.
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

/** Work that runs now beside which collections are to be quick. */
let hurried = 0;

/** Whether full collections move together what is in use. What the user or whoever started the process wants stays. */
function setCompacting(isOn: boolean): void {
  const given = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ');
  if (/compact.on.every/.test(given)) return;
  setFlagsFromString(`--${isOn ? '' : 'no-'}compact-on-every-full-gc`);
}

/**
 * V8's own full collections do not compact while the work runs: they would stop it, and every caller beside it, for three times as long
 * (45 ms instead of 13 beside a bulk job, every few seconds). What is asked for by {@link collectGarbage} does.
 */
export async function withQuickCollections<T>(work: () => Promise<T>): Promise<T> {
  hurried += 1;
  setCompacting(false);
  try {
    return await work();
  } finally {
    hurried -= 1;
    if (hurried === 0) setCompacting(true);
  }
}

/**
 * Runs a garbage collection, which blocks this thread. The memory of dropped Buffers goes back to the allocator during it
 * or soon after.
 *
 * @returns the milliseconds that it took
 */
export function collectGarbage(kind: CollectionKind = 'full'): number {
  const run = collectionOf(kind);
  const startedAtMs = performance.now();
  setCompacting(kind === 'full' || kind === 'thorough');
  run();
  setCompacting(hurried === 0);
  return performance.now() - startedAtMs;
}

function collectionOf(kind: CollectionKind): () => void {
  if (kind === 'thorough') {
    thorough ??= findThorough();
    return thorough;
  }
  gc ??= findGc();
  const collect = gc;
  return () => collect(kind === 'minor' ? 'minor' : 'full');
}
