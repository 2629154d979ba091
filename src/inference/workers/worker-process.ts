import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { processCpuMs } from '../../system/cpu-time.js';
import { FrugalMemoryReader } from '../../system/frugal-reader.js';
import { modelProcessOptions } from '../../system/process/tuning.js';
import {
  type ProcessMemory,
  parseStatus,
  privateBytesOf,
  readProcessMemory,
} from '../../system/process-memory.js';
import { settledWithin } from '../../system/time-limit.js';
import type { Progress } from './time-limit.js';

/** Starts the process of a worker. @param module path of the built worker-main module. */
export function forkWorker(module: string): ChildProcess {
  return fork(module, [], {
    ...modelProcessOptions(),
    // Structured clones: a round trip takes a fifth less CPU than with JSON (bench messages).
    serialization: 'advanced',
    // Native code may print on stdout; that must not mix with the server's own lines.
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
}

/** CPU time and memory of the process, read at once: the thread pool may be what is stuck. */
export function lookAt(pid: number | undefined): Omit<Progress, 'elapsedMs'> {
  return { cpuMs: processCpuMs(pid), privateBytes: privateBytesNow(pid) };
}

function privateBytesNow(pid: number | undefined): number | undefined {
  if (pid === undefined) return undefined;
  try {
    return privateBytesOf(parseStatus(readFileSync(`/proc/${pid}/status`, 'utf8')));
  } catch {
    return undefined;
  }
}

/** A reading does not wait longer for the worker's own answer: its `/proc` file is then read from here. */
const OWN_ANSWER_MS = 1000;

/**
 * Memory of a worker, as exactly as its size allows ({@link FrugalMemoryReader}). An idle worker reads its own. A
 * busy one cannot answer, so its `/proc` file is read here, in the thread pool.
 *
 * @param ask asks the worker itself; undefined while it is busy.
 */
export function workerMemoryReader(
  pid: number,
  ask: () => Promise<ProcessMemory> | undefined,
): FrugalMemoryReader<ProcessMemory | undefined> {
  return new FrugalMemoryReader(pid, async () => {
    const asked = ask();
    if (asked === undefined) return readProcessMemory(pid);
    // A worker that has ended meanwhile has no memory.
    const answered = asked.catch(() => undefined);
    const isInTime = await settledWithin(answered, OWN_ANSWER_MS);
    return isInTime ? answered : readProcessMemory(pid);
  });
}
