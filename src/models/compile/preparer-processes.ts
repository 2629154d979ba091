import { type ChildProcess, fork } from 'node:child_process';
import { PlimsollError, systemCodeOf } from '../../errors.js';
import { processCpuMs, waitsForDisk } from '../../system/cpu-time.js';
import { modelProcessOptions } from '../../system/process/tuning.js';
import { asDiskFailure, storageUnavailable } from './forms/disk-failure.js';
import type { PreparerJob, PreparerMessage, WriteJob } from './preparer-protocol.js';

/** A process that got a smaller share of a CPU than this waited for its disk, or for other processes. */
const WORKING_SHARE = 0.2;
/** A process that waits for a disk does not end even when it is killed: it is given up after this. */
const EXIT_TIMEOUT_MS = 2000;

/** The process has ended before it had an answer. */
class SilentEndError extends PlimsollError {}

/** The throw-away processes that run now: each does one job, and ends. */
export class PreparerProcesses {
  readonly #module: string;
  readonly #timeoutMs: number;
  readonly #children = new Set<ChildProcess>();
  #stopped = false;

  /** @param module path of the built preparer-main module */
  constructor(module: string, timeoutMs: number) {
    this.#module = module;
    this.#timeoutMs = timeoutMs;
  }

  /** Process ids of those that run now. */
  get pids(): readonly number[] {
    return [...this.#children].flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
  }

  /** Ends those that run; no others start. */
  stop(): void {
    this.#stopped = true;
    for (const child of this.#children) child.kill('SIGKILL');
  }

  /**
   * Compiles a model; once more, without comparing its tokenizers, where that has ended the process: a text for which a
   * pattern of the native one tracks back for ever does that.
   */
  async write(job: WriteJob): Promise<Extract<PreparerMessage, { readonly type: 'written' }>> {
    let isComparing = false;
    try {
      return await this.ask(job, 'written', (message) => {
        if (message.type === 'comparing') isComparing = message.isOn;
      });
    } catch (error) {
      if (!(error instanceof SilentEndError && isComparing)) throw error;
      return this.ask({ ...job, native: 'crash' }, 'written');
    }
  }

  /** Runs one job that has one answer. @param onOther told of what comes before it */
  ask<T extends PreparerMessage['type']>(
    job: PreparerJob,
    type: T,
    onOther: (message: PreparerMessage) => void = () => undefined,
  ): Promise<Extract<PreparerMessage, { readonly type: T }>> {
    return new Promise((resolve, reject) => {
      const isAnswer = (
        message: PreparerMessage,
      ): message is Extract<PreparerMessage, { readonly type: T }> => message.type === type;
      const onMessage = (message: PreparerMessage) => {
        if (isAnswer(message)) resolve(message);
        else onOther(message);
      };
      this.run(job, onMessage, reject);
    });
  }

  /** Runs one job. `onEnd` is told of every failure, and of silent ends. */
  run(
    job: PreparerJob,
    onMessage: (message: PreparerMessage) => void,
    onEnd: (error: PlimsollError) => void,
  ): void {
    if (this.#stopped) {
      onEnd(new PlimsollError('SHUTTING_DOWN', 'the server is stopping'));
      return;
    }
    const child = fork(this.#module, [JSON.stringify(job)], {
      ...modelProcessOptions(),
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    this.#children.add(child);
    let late: PlimsollError | undefined;
    let timer = setTimeout(() => {
      const error = lateError(child.pid, this.#timeoutMs);
      late = error;
      child.kill('SIGKILL');
      timer = setTimeout(() => {
        this.#children.delete(child);
        onEnd(error);
      }, EXIT_TIMEOUT_MS);
    }, this.#timeoutMs);
    child.on('message', (message: PreparerMessage) => {
      if (message.type === 'failed') onEnd(new PlimsollError(message.code, message.message));
      else onMessage(message);
    });
    child.on('error', (error) => {
      // A process that could not be started has no exit.
      if (child.pid === undefined) {
        clearTimeout(timer);
        this.#children.delete(child);
      }
      onEnd(asDiskFailure(error, '/dev/null') ?? new PlimsollError('INTERNAL', describe(error)));
    });
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      this.#children.delete(child);
      if (this.#stopped) onEnd(new PlimsollError('SHUTTING_DOWN', 'the server is stopping'));
      else onEnd(late ?? endError(code, signal));
    });
  }
}

function describe(error: Error): string {
  return `a process could not be started (${systemCodeOf(error) ?? error.message})`;
}

/** A process that computed all the time says something about the model; one that waited does not. */
function lateError(pid: number | undefined, timeoutMs: number): PlimsollError {
  const late = 'preparing the model took longer than prepare.timeout_ms';
  const cpuMs = processCpuMs(pid);
  const waited = waitsForDisk(pid) || (cpuMs !== undefined && cpuMs < WORKING_SHARE * timeoutMs);
  if (!waited) return new PlimsollError('MODEL_UNUSABLE', late);
  const used = `it computed for ${cpuMs ?? 0} of ${timeoutMs} ms, and waited for the disk or for other processes`;
  return storageUnavailable(`${late}: ${used}`, 'look for a slow or hung disk, or raise the limit');
}

/** What the kernel or the disk did may not happen again; any other end says something about the model. */
function endError(code: number | null, signal: string | null): PlimsollError {
  if (signal === 'SIGKILL') {
    const reason = 'the process that prepared the model was killed, most likely for lack of memory';
    return new PlimsollError('INSUFFICIENT_MEMORY', reason);
  }
  // A mapped page that the disk could not give.
  if (signal === 'SIGBUS') {
    const reason = 'a file that was mapped into memory was cut off, or its disk could not read it';
    return storageUnavailable(reason, 'look for errors of the disk in the kernel’s log');
  }
  const end = signal ?? `exit code ${code}`;
  const reason = `the process that prepared the model ended without a result (${end})`;
  return new SilentEndError('MODEL_UNUSABLE', reason);
}
