import { constants } from 'node:os';

/** SIGHUP comes when the terminal closes; its default would end the process without a cleanup. */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
export type StopSignal = (typeof SIGNALS)[number];

/** Signals that ask the process to stop. From its construction on none of them ends it by itself. */
export class StopSignals {
  /** Settles with the first signal. */
  readonly first: Promise<StopSignal>;
  #onFurther: ((signal: StopSignal) => void) | undefined;

  constructor(from: NodeJS.EventEmitter = process) {
    this.first = new Promise((resolve) => {
      let isFirst = true;
      for (const signal of SIGNALS) {
        from.on(signal, () => {
          if (!isFirst) this.#onFurther?.(signal);
          isFirst = false;
          resolve(signal);
        });
      }
    });
  }

  /** What a further signal does; by default nothing: whoever starts the process may pass on what it got itself. */
  onFurther(act: (signal: StopSignal) => void): void {
    this.#onFurther = act;
  }
}

/** The exit code of a process that a signal has ended, as shells have it. */
export function exitCodeOf(signal: StopSignal): number {
  return 128 + constants.signals[signal];
}
