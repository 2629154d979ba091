/** Tells on stderr what runs, so that stdout keeps the tables and the JSON. */

const QUIET_MS = 5000;
/** Longer lines would be wrapped, and could not be written over. */
const WIDTH = 79;

/** On a terminal one line that is written over; elsewhere a plain line every few seconds. */
export class Progress {
  readonly #isTerminal = process.stderr.isTTY === true;
  readonly #name: string;
  readonly #begunAt = performance.now();
  #toldAt = 0;

  constructor(name: string) {
    this.#name = name;
  }

  /** A step that matters by itself: always shown. */
  say(line: string): void {
    process.stderr.write(`${this.#isTerminal ? '\r\u001b[K' : ''}${this.#line(line)}\n`);
    this.#toldAt = performance.now();
  }

  /** How far it is. */
  at(line: string): void {
    const now = performance.now();
    if (this.#isTerminal) {
      const width = (process.stderr.columns ?? WIDTH + 1) - 1;
      process.stderr.write(`\r\u001b[K${this.#line(line).slice(0, width)}`);
    } else if (now - this.#toldAt >= QUIET_MS) this.say(line);
  }

  end(): void {
    if (this.#isTerminal) process.stderr.write('\r\u001b[K');
  }

  #line(line: string): string {
    const seconds = Math.round((performance.now() - this.#begunAt) / 1000);
    return `${this.#name} (${seconds} s): ${line}`;
  }
}
