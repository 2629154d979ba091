/** Tells on stderr what runs, so that stdout keeps the tables and the JSON. */

const QUIET_MS = 5000;

/** On a terminal one line that is written over; elsewhere a plain line every few seconds. */
export class Progress {
  readonly #isTerminal = process.stderr.isTTY === true;
  readonly #name: string;
  #toldAt = 0;

  constructor(name: string) {
    this.#name = name;
  }

  /** A step that matters by itself: always shown. */
  say(line: string): void {
    process.stderr.write(`${this.#isTerminal ? '\r\u001b[K' : ''}${this.#name}: ${line}\n`);
    this.#toldAt = performance.now();
  }

  /** How far it is. */
  at(line: string): void {
    const now = performance.now();
    if (this.#isTerminal) process.stderr.write(`\r\u001b[K${this.#name}: ${line}`);
    else if (now - this.#toldAt >= QUIET_MS) this.say(line);
  }

  end(): void {
    if (this.#isTerminal) process.stderr.write('\r\u001b[K');
  }
}
