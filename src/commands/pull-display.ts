import type { WriteStream } from 'node:tty';
import type { PullProgress } from '../models/pull/pull.js';

const BAR_CELLS = 24;
/** Time between two drawings on a terminal, ms. */
const DRAW_MS = 100;
/** Time between two lines about one file where there is no terminal, ms. */
const LINE_MS = 5000;
const MB = 2 ** 20;

interface FileProgress {
  readonly model: string;
  readonly file: string;
  readonly beganMs: number;
  /** What an earlier attempt had left: no part of the rate. */
  readonly firstBytes: number;
  bytes: number;
  totalBytes: number;
  toldMs: number;
}

/** Progress bars on a terminal: one line for each file that is being fetched. Elsewhere plain lines. */
export class PullDisplay {
  readonly #out: NodeJS.WriteStream;
  readonly #isTerminal: boolean;
  readonly #files = new Map<string, FileProgress>();
  #drawnLines = 0;
  #drawnMs = 0;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
    this.#isTerminal = out.isTTY === true;
  }

  show(model: string, progress: PullProgress): void {
    const now = performance.now();
    if (progress.kind === 'listed') {
      this.#print(`${model}: ${progress.files} files of commit ${progress.commit.slice(0, 12)}`);
      return;
    }
    if (progress.kind === 'warning') {
      this.#print(`${model}: ${progress.message}`);
      return;
    }
    const key = `${model} ${progress.file}`;
    if (progress.kind === 'file-done') {
      this.#files.delete(key);
      const how = progress.fromCache ? 'in the cache already' : `${mb(progress.bytes)} MB`;
      this.#print(`${model}: ${progress.file}: ${how}`);
      return;
    }
    const { file, bytes, totalBytes } = progress;
    const known = this.#files.get(key);
    if (known === undefined) {
      const begun = { model, file, beganMs: now, firstBytes: bytes, bytes, totalBytes };
      this.#files.set(key, { ...begun, toldMs: now });
    } else {
      known.bytes = bytes;
      if (!this.#isTerminal && now - known.toldMs > LINE_MS) {
        known.toldMs = now;
        this.#print(lineOf(known, now));
      }
    }
    if (this.#isTerminal && now - this.#drawnMs > DRAW_MS) this.#draw(now);
  }

  end(): void {
    this.#erase();
  }

  #print(line: string): void {
    this.#erase();
    this.#out.write(`${line}\n`);
    if (this.#isTerminal) this.#draw(performance.now());
  }

  #draw(now: number): void {
    this.#erase();
    const width = (this.#out as WriteStream).columns ?? 80;
    const lines = [...this.#files.values()].map((file) => lineOf(file, now).slice(0, width - 1));
    if (lines.length > 0) this.#out.write(`${lines.join('\n')}\n`);
    this.#drawnLines = lines.length;
    this.#drawnMs = now;
  }

  #erase(): void {
    if (!this.#isTerminal || this.#drawnLines === 0) return;
    this.#out.write(`\u001b[${this.#drawnLines}A\u001b[0J`);
    this.#drawnLines = 0;
  }
}

/** `[#####-----] 120.0 of 440.1 MB, 38.2 MB/s, 8 s left  org/name: model.safetensors` */
function lineOf(progress: FileProgress, now: number): string {
  const { bytes, totalBytes, firstBytes, beganMs, model, file } = progress;
  const share = totalBytes === 0 ? 1 : bytes / totalBytes;
  const full = Math.round(share * BAR_CELLS);
  const seconds = (now - beganMs) / 1000;
  const rate = seconds > 0 ? (bytes - firstBytes) / seconds : 0;
  const left = rate > 0 ? `, ${duration((totalBytes - bytes) / rate)} left` : '';
  const bar = `[${'#'.repeat(full)}${'-'.repeat(BAR_CELLS - full)}]`;
  return `${bar} ${mb(bytes)} of ${mb(totalBytes)} MB, ${mb(rate)} MB/s${left}  ${model}: ${file}`;
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5400 ? `${Math.ceil(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

function mb(bytes: number): string {
  return (bytes / MB).toFixed(1);
}
