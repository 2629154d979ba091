/**
 * Lets long work be done in slices: one caller's goes on in each turn of the event loop, and between two
 * slices the loop serves what has come meanwhile.
 */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  #isSet = false;

  /** Settles in a later turn of the event loop, those who asked before first. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#set();
    });
  }

  #set(): void {
    if (this.#isSet || this.#waiting.length === 0) return;
    this.#isSet = true;
    setImmediate(() => {
      this.#isSet = false;
      this.#waiting.shift()?.();
      this.#set();
    });
  }
}
