import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { systemCodeOf } from '../errors.js';

/** Bytes of log lines that wait for their reader at most; later lines are dropped and counted. */
const MAX_WAITING_BYTES = 2 ** 20;
/** Time until an output that took nothing is tried again, ms. */
const RETRY_MS = 100;
/** Time until an output that failed (full disk) is tried again, ms. */
const FAILED_RETRY_MS = 1000;
/** Longest wait for a slow reader when the process ends, ms. */
const LAST_FLUSH_MS = 200;
/** The reader has gone and will not come back: a pipe whose other end is closed, a descriptor that is closed. */
const CLOSED_CODES: ReadonlySet<string> = new Set(['EPIPE', 'EBADF', 'ECONNRESET']);

export interface LogOutputOptions {
  /** Descriptor to write to; it should not block, see {@link openLogDescriptor}. */
  readonly fd: number;
  /** The line that tells of lost lines, once the output takes lines again. Without a line end. */
  readonly lossLine: (lostLines: number) => string;
}

/**
 * The log's way out, which never holds up the process: lines are written at once where the output takes
 * them, and wait in a bounded buffer where it does not (full disk, slow or stalled reader). Lines beyond the
 * buffer are dropped and counted, and the loss is told once there is room again.
 *
 * pino's own destinations wait instead: on a full disk for ever (pinojs/sonic-boom#33), on a full pipe until
 * somebody reads it.
 */
export class LogOutput {
  readonly #options: LogOutputOptions;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #lostLines = 0;
  /** Lost since the last line that told of it. */
  #untoldLines = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: LogOutputOptions) {
    this.#options = options;
  }

  /** Lines that were dropped since the start. */
  get lostLines(): number {
    return this.#lostLines;
  }

  /** Takes one line with its line end. Never blocks and never throws. */
  write(line: string): void {
    const bytes = Buffer.from(line);
    if (this.#isClosed || this.#waitingBytes + bytes.byteLength > MAX_WAITING_BYTES) {
      this.#lose(1);
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.byteLength;
    // While an output is left alone nothing is tried: a full disk costs one system call a second.
    if (this.#timer === undefined) this.#flush();
  }

  /** Writes what waits before the process ends; waits a moment for a slow reader, not for ever. */
  end(): void {
    clearTimeout(this.#timer);
    const until = performance.now() + LAST_FLUSH_MS;
    while (this.#waiting.length > 0 && performance.now() < until) {
      const result = this.#writeWaiting();
      if (result !== 'busy') break;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
    this.#isClosed = true;
  }

  #flush(): void {
    const result = this.#writeWaiting();
    if (result === 'busy') this.#tryAgainIn(RETRY_MS);
    else if (result === 'failed') this.#tryAgainIn(FAILED_RETRY_MS);
    else if (result === 'written' && this.#untoldLines > 0) this.#tellLoss();
  }

  #tryAgainIn(delayMs: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#flush();
    }, delayMs).unref();
  }

  #tellLoss(): void {
    const lost = this.#untoldLines;
    this.#untoldLines = 0;
    this.write(`${this.#options.lossLine(lost)}\n`);
  }

  #writeWaiting(): 'written' | 'busy' | 'failed' | 'closed' {
    try {
      while (this.#waiting.length > 0) {
        const chunk = this.#waiting.length === 1 ? this.#waiting[0] : Buffer.concat(this.#waiting);
        if (chunk === undefined) break;
        const written = writeSync(this.#options.fd, chunk);
        const rest = chunk.subarray(written);
        this.#waiting = rest.byteLength === 0 ? [] : [rest];
        this.#waitingBytes = rest.byteLength;
      }
      return 'written';
    } catch (error) {
      const code = systemCodeOf(error) ?? '';
      if (code === 'EAGAIN' || code === 'EINTR') return 'busy';
      if (!CLOSED_CODES.has(code)) return 'failed';
      this.#isClosed = true;
      this.#lose(this.#waiting.length);
      this.#waiting = [];
      this.#waitingBytes = 0;
      return 'closed';
    }
  }

  #lose(lines: number): void {
    this.#lostLines += lines;
    this.#untoldLines += lines;
  }
}

/** Keeps the handle of a descriptor that was made non-blocking: its end would close the descriptor. */
const handles: Socket[] = [];

/**
 * A descriptor for the standard output that does not block.
 *
 * 1. A regular file is written through the descriptor itself: it has an offset that others may share.
 * 2. A pipe or a terminal is opened anew through `/proc`, so that other processes that write to it, npm for
 *    one, keep a blocking one.
 * 3. A socket (journald), or a pipe of another user, cannot be opened anew: libuv makes the descriptor itself
 *    non-blocking when a stream takes it over.
 */
export function openLogDescriptor(fd: number): number {
  try {
    const status = fstatSync(fd);
    if (status.isFile()) return fd;
    if (!status.isSocket()) {
      const own = reopen(fd);
      if (own !== undefined) return own;
    }
    if (status.isFIFO() || status.isSocket()) handles.push(new Socket({ fd, readable: false }));
  } catch {
    // A closed descriptor: the first line finds out.
  }
  return fd;
}

function reopen(fd: number): number | undefined {
  try {
    const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
    const own = openSync(`/proc/self/fd/${fd}`, flags);
    if (fstatSync(own).isFile()) {
      closeSync(own);
      return undefined;
    }
    return own;
  } catch {
    return undefined;
  }
}
