import { Worker } from 'node:worker_threads';
import { messageOf, systemCodeOf } from '../../../errors.js';
import { tuneAgain } from '../../../system/process/tuning.js';
import { InputError } from '../../files/input-error.js';
import type { FromThread, ParquetAnswer, ParquetQuestion, ToThread } from './parquet-messages.js';

/** A build has this module beside the one that starts it. */
const MODULE = new URL('./parquet-thread-main.js', import.meta.url);
/** For some megabytes of a file; a broken one can keep its decoder busy forever. */
const BUDGET_MS = 30_000;
const MAX_HEAP_MB = 512;
/** By default it is 48 MB, and a thread that decodes fills it. */
const MAX_YOUNG_MB = 3;
const IDLE_MS = 30_000;

export type SliceOf = (start: number, end: number) => Promise<ArrayBuffer>;

/**
 * Decodes Parquet in a thread of its own: what a broken or malicious file does there costs its job, not the server, whose event loop
 * goes on meanwhile. The thread starts with the first file, and ends when it is idle. It owns the thread.
 */
export class ParquetThread {
  readonly #module: URL;
  readonly #budgetMs: number;
  #worker: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;
  /** Questions are asked one after another. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(module = MODULE, budgetMs = BUDGET_MS) {
    this.#module = module;
    this.#budgetMs = budgetMs;
  }

  /**
   * @param slice reads a range of the file; what it throws is thrown
   * @throws InputError, without the name of the file, if it cannot be decoded
   */
  ask(question: ParquetQuestion, slice: SliceOf): Promise<ParquetAnswer> {
    const answer = this.#last.then(() => this.#ask(question, slice));
    // Its rows are not held until the next one.
    this.#last = answer.then(
      () => undefined,
      () => undefined,
    );
    return answer;
  }

  async close(): Promise<void> {
    clearTimeout(this.#idle);
    await this.#end();
  }

  async #ask(question: ParquetQuestion, slice: SliceOf): Promise<ParquetAnswer> {
    clearTimeout(this.#idle);
    this.#worker ??= this.#start();
    const talk = new Talk(this.#worker, slice, this.#budgetMs);
    try {
      const answer = await this.#answered(talk, question);
      if (talk.failure !== undefined) throw talk.failure.error;
      if (answer.type === 'broken') throw new InputError(answer.reason);
      return answer;
    } finally {
      this.#idle = setTimeout(() => {
        this.#end().catch(() => undefined);
      }, IDLE_MS).unref();
    }
  }

  async #answered(talk: Talk, question: ParquetQuestion): Promise<ParquetAnswer> {
    try {
      return await talk.ask(question);
    } catch (error) {
      // Whatever it does now, nobody waits for it.
      await this.#end();
      throw error;
    }
  }

  #start(): Worker {
    const worker = new Worker(this.#module, {
      execArgv: [],
      resourceLimits: {
        maxOldGenerationSizeMb: MAX_HEAP_MB,
        maxYoungGenerationSizeMb: MAX_YOUNG_MB,
      },
    });
    worker.unref();
    worker.once('online', tuneAgain);
    // Without a listener, an error between two questions would end the server.
    worker.on('error', () => {
      if (this.#worker === worker) this.#worker = undefined;
    });
    return worker;
  }

  async #end(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }
}

/** One question to the thread, with the ranges that it asks for meanwhile. The budget is for its own time, not for that of reading. */
class Talk {
  readonly #worker: Worker;
  readonly #slice: SliceOf;
  readonly #budgetMs: number;
  #reading = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Why a range could not be read: the cause of whatever the thread says then. */
  failure: { readonly error: unknown } | undefined;

  constructor(worker: Worker, slice: SliceOf, budgetMs: number) {
    this.#worker = worker;
    this.#slice = slice;
    this.#budgetMs = budgetMs;
  }

  async ask(question: ParquetQuestion): Promise<ParquetAnswer> {
    const worker = this.#worker;
    const { promise, resolve, reject } = settleable<ParquetAnswer>();
    const onMessage = (message: FromThread) => {
      if (message.type !== 'slice') resolve(message);
      else {
        this.#read(message, reject).catch(reject);
      }
    };
    const onError = (error: unknown) => reject(lostError(error));
    const onExit = () => reject(new Error('the thread for Parquet ended'));
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
    worker.ref();
    try {
      this.#watch(reject);
      this.#send(question);
      return await promise;
    } finally {
      clearTimeout(this.#timer);
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
      worker.unref();
    }
  }

  async #read(
    { range, start, end }: Extract<FromThread, { readonly type: 'slice' }>,
    reject: (error: Error) => void,
  ): Promise<void> {
    this.#reading += 1;
    clearTimeout(this.#timer);
    try {
      const buffer = await this.#slice(start, end);
      this.#send({ type: 'range', range, buffer }, [buffer]);
    } catch (error) {
      this.failure ??= { error };
      this.#send({ type: 'range', range });
    } finally {
      this.#reading -= 1;
      if (this.#reading === 0) this.#watch(reject);
    }
  }

  #watch(reject: (error: Error) => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const seconds = this.#budgetMs / 1000;
      reject(
        new InputError(`its Parquet is broken: some rows were not decoded within ${seconds} s`),
      );
    }, this.#budgetMs);
  }

  #send(message: ToThread, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer);
  }
}

function lostError(error: unknown): Error {
  if (systemCodeOf(error) !== 'ERR_WORKER_OUT_OF_MEMORY') {
    return new Error(`the thread for Parquet failed: ${messageOf(error)}`, { cause: error });
  }
  return new InputError(
    `its Parquet is broken, or its pages are too large: they need more than ${MAX_HEAP_MB} MB`,
    error,
  );
}

function settleable<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}
