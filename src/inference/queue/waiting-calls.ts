/** Calls that wait for their turn, in the order in which they came. */
export class WaitingCalls {
  readonly #wakers = new Set<() => void>();

  get count(): number {
    return this.#wakers.size;
  }

  /** Resolves at the call's turn. @throws the signal's reason */
  turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const wake = () => {
        this.#wakers.delete(wake);
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const leave = () => {
        this.#wakers.delete(wake);
        reject(signal.reason);
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#wakers.add(wake);
    });
  }

  wakeNext(): void {
    const [first] = this.#wakers;
    first?.();
  }
}
