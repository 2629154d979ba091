/**
 * How V8 and the allocator of our processes are tuned, all of it. The server's process tunes itself, so that it is the same
 * process however it is started; worker and preparer processes get theirs from whoever forks them.
 */
import { setFlagsFromString } from 'node:v8';
import { cFunction } from './libc.js';
import { PARENT_VARIABLE } from './parent-death.js';
import { restartWith } from './restart.js';

/** One setting of V8 that may change while it runs. `topic` finds a flag of the user's about the same thing. */
interface V8Setting {
  readonly flag: string;
  readonly topic: RegExp;
}

/**
 * For the main process:
 * - The young generation stays at two halves of 1 MB. It would otherwise double up to 16 MB a half (64 on Node 24) and stay
 *   there. Its maximum is read only when V8 starts, the growth factor at each growth.
 * - No baseline machine code: it took 2 MB and grew on for thousands of sessions.
 * - Full collections compact: otherwise pages over which garbage was spread stay half empty (10 MB at rest after 100 sessions). It takes
 *   three times as long, so not beside bulk jobs (`withQuickCollections`).
 * - The old generation is collected when it has grown by six tenths. By default V8 lets it grow to four times what is in use where much
 *   is allocated: beside a bulk job from 26 to 65 MB; a collection takes some 12 ms.
 * - One thread collects the young generation. It is so small that waking others costs more than they do (7 % of the CPU
 *   time of a cached answer), and the other cores are the workers'.
 */
const SERVER_V8: readonly V8Setting[] = [
  { flag: '--semi-space-growth-factor=1', topic: /semi.space/ },
  { flag: '--no-sparkplug', topic: /sparkplug/ },
  { flag: '--compact-on-every-full-gc', topic: /compact.on.every/ },
  { flag: '--heap-growing-percent=60', topic: /heap.growing/ },
  { flag: '--no-parallel-scavenge', topic: /parallel.scavenge/ },
];

/** One parameter of mallopt(3): its number in malloc.h of glibc, and the variable that sets it from outside. */
interface AllocatorSetting {
  readonly parameter: number;
  readonly value: number;
  readonly variable: string;
}

/**
 * For the main process. By default glibc gives threads arenas of their own, each of which keeps what was freed there (10 MB at
 * rest, and growing), and raises its thresholds with the largest block that is freed, so that some MB of free memory stay
 * at the end of the heap (2 MB after 100 sessions). The mmap threshold lies above the 64 KB that Node allocates
 * for each read from a socket.
 *
 * Node's threads have arenas before the program begins. So the program restarts itself with the variables, where that is
 * possible, and sets what is left by mallopt otherwise (then 2 MB more after 200 sessions).
 */
const SERVER_ALLOCATOR: readonly AllocatorSetting[] = [
  { parameter: -8, value: 1, variable: 'MALLOC_ARENA_MAX' },
  { parameter: -3, value: 131_072, variable: 'MALLOC_MMAP_THRESHOLD_' },
  { parameter: -1, value: 65_536, variable: 'MALLOC_TRIM_THRESHOLD_' },
];

/**
 * Tunes this process as the server's main process; the program may begin anew meanwhile. Call it before anything large is
 * loaded: the young generation cannot shrink.
 *
 * What the user sets by a flag of Node, NODE_OPTIONS or a variable of glibc stays as the user wants it.
 *
 * @returns whether the allocator took its settings; false on another C library than glibc
 */
export function tuneServerProcess(): boolean {
  // First: to reach the allocator a library is loaded, which is large.
  tuneV8(SERVER_V8);
  isServer = true;
  return tuneAllocator();
}

let isServer = false;

/**
 * Call it when a thread of the server's process has come up. V8 raises a growth factor below 2 to 2, for the whole process, whenever a
 * heap is made (Heap::ConfigureHeap): the young generation of the main thread then grew to two halves of 16 MB.
 */
export function tuneAgain(): void {
  if (isServer) tuneV8(SERVER_V8.filter(({ flag }) => flag.includes('growth-factor')));
}

function tuneV8(settings: readonly V8Setting[]): void {
  const given = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ');
  for (const { flag, topic } of settings) if (!topic.test(given)) setFlagsFromString(flag);
}

function tuneAllocator(): boolean {
  const mallopt = cFunction('int mallopt(int parameter, int value)');
  if (mallopt === undefined) return false;
  const missing = SERVER_ALLOCATOR.filter(({ variable }) => process.env[variable] === undefined);
  restartWith(Object.fromEntries(missing.map(({ variable, value }) => [variable, String(value)])));
  return missing.every(({ parameter, value }) => mallopt(parameter, value) === 1);
}

/**
 * Node's flags for processes that run models. A young generation of 1 MB a half: a worker that had opened three models
 * with their tokenizers rests at 32 MB of private memory instead of 49, and tokenizing costs about 7 % more CPU (Node 20).
 * Full collections compact, so that no page of the heap stays for the few objects on it.
 */
export const MODEL_NODE_FLAGS: readonly string[] = [
  '--expose-gc',
  '--max-semi-space-size=1',
  '--compact-on-every-full-gc',
];

/**
 * Variables for processes that run models. The allocator's stand in the environment because ONNX Runtime's threads and glibc's
 * tunables need them before the first allocation.
 */
export const MODEL_ENVIRONMENT: Readonly<Record<string, string>> = {
  MALLOC_MMAP_THRESHOLD_: '262144',
  MALLOC_TRIM_THRESHOLD_: '131072',
  MALLOC_ARENA_MAX: '2',
  // Without bins that keep small blocks apart, free blocks join and whole pages go back (see trimNativeHeap): 1.5 MB
  // less in each worker after 150 sessions on three models.
  GLIBC_TUNABLES: 'glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0',
  // ONNX Runtime 1.29 and later report usage over the network unless this is set.
  ORT_DISABLE_TELEMETRY: '1',
};

/** How to fork a process that runs models. It has to call `dieWithParent` when it starts. */
export function modelProcessOptions(): {
  readonly env: NodeJS.ProcessEnv;
  readonly execArgv: string[];
} {
  return {
    env: { ...process.env, ...MODEL_ENVIRONMENT, [PARENT_VARIABLE]: String(process.pid) },
    execArgv: [...MODEL_NODE_FLAGS],
  };
}
