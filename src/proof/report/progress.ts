/** Progress of a run: a status line that updates on a terminal, plain lines elsewhere. */
import { count, mb, ms, percent, plain, plural } from '../format.js';
import type { Plan } from '../play/plan.js';
import type { LoadEvent, Reading, SessionRun } from '../play/run.js';
import { quantile } from '../statistics.js';
import { receiptLines } from './receipt-lines.js';

/** Often enough to look alive, seldom enough to cost nothing. */
const REDRAW_MS = 200;
/** The status line shows quantiles of the last requests, this many. */
const RECENT_REQUESTS = 500;
/** A line that wraps cannot be overwritten. */
const DEFAULT_COLUMNS = 100;
const CLEAR_LINE = '\r\u001b[2K';

export interface ProgressOptions {
  readonly plan: Plan;
  /** Takes text as it is, line ends included, like `process.stdout.write`. */
  readonly write: (text: string) => void;
  readonly isTerminal: boolean;
  /** Width of the terminal in characters. */
  readonly columns?: number | undefined;
  /** Milliseconds of a monotonic clock. */
  readonly now?: (() => number) | undefined;
}

/** Follows a run's events. Call `finish()` once at the end. */
export class Progress {
  readonly #options: ProgressOptions;
  readonly #now: () => number;
  #session = 0;
  #users = 0;
  #sessionBegan = 0;
  #sent = 0;
  #failed = 0;
  #recent: number[] = [];
  #reading: Reading | null = null;
  #lastReceipt = '';
  #drawnAt = Number.NEGATIVE_INFINITY;
  #lineShown = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  observe(event: LoadEvent): void {
    switch (event.kind) {
      case 'run started':
        return;
      case 'waiting':
        this.line(
          `Waits until ${plural(event.sessions, 'other session')} is at rest, for some seconds at most.`,
        );
        return;
      case 'session started':
        this.#session = event.session;
        this.#users = event.users;
        this.#sessionBegan = this.#now();
        this.#sent = 0;
        this.#failed = 0;
        this.#recent = [];
        break;
      case 'request':
        this.#sent += 1;
        if (!event.row.ok) this.#failed += 1;
        this.#recent.push(event.row.ms);
        if (this.#recent.length > RECENT_REQUESTS) this.#recent.shift();
        break;
      case 'reading':
        this.#reading = event.reading;
        break;
      case 'session ended':
        this.#showSession(event.session);
        return;
    }
    this.#draw();
  }

  /** Writes a line above the status line. */
  line(text: string): void {
    this.finish();
    this.#options.write(`${text}\n`);
  }

  /** Removes the status line. */
  finish(): void {
    if (this.#lineShown) this.#options.write(CLEAR_LINE);
    this.#lineShown = false;
  }

  #showSession(session: SessionRun): void {
    const served = session.users.filter((user) => user === 'successful').length;
    const took = ms(session.playedMs - session.startedMs);
    this.line(
      `Session ${count(session.number)}${this.#ofAll(' of ')}: ` +
        `${count(served)} of ${plural(session.users.length, 'user')} served, ` +
        `${plural(this.#sent, 'request')}${this.#failed > 0 ? `, ${count(this.#failed)} FAILED` : ''}, ${took}` +
        `${this.#recent.length === 0 ? '' : `, ${this.#quantiles()}`}`,
    );
    if (session.problem !== null) this.line(`  problem: ${session.problem}`);
    if (session.id !== null) {
      for (const text of receiptLines(session.number, session.receipt)) this.line(text);
    }
    const freed = session.receipt?.freed_private_mb ?? session.receipt?.freed_mb ?? null;
    if (freed !== null) this.#lastReceipt = freed > 0 ? `freed ${mb(freed)}` : 'freed nothing';
  }

  #draw(): void {
    if (!this.#options.isTerminal || this.#now() - this.#drawnAt < REDRAW_MS) return;
    this.#drawnAt = this.#now();
    const { plan, columns } = this.#options;
    const users = this.#users;
    const elapsed = (this.#now() - this.#sessionBegan) / 1000;
    const parts = [
      `session ${count(this.#session)}${this.#ofAll('/')}`,
      plural(users, 'user'),
      `${count(this.#sent)}/${count(users * plan.requests)}`,
      ...(this.#failed > 0 ? [`${count(this.#failed)} FAILED`] : []),
      ...(elapsed > 0 ? [`${plain(Math.round(this.#sent / elapsed))}/s`] : []),
      ...(this.#recent.length > 0 ? [this.#quantiles()] : []),
      ...this.#memory(),
      ...(this.#lastReceipt === '' ? [] : [this.#lastReceipt]),
    ];
    const width = (columns ?? DEFAULT_COLUMNS) - 1;
    const line = parts.join(' · ');
    const cut = line.length > width ? `${line.slice(0, Math.max(0, width - 1))}…` : line;
    this.#options.write(`${CLEAR_LINE}${cut}`);
    this.#lineShown = true;
  }

  #ofAll(word: string): string {
    const { sessions } = this.#options.plan;
    return sessions === null ? '' : `${word}${count(sessions)}`;
  }

  #quantiles(): string {
    return `p50 ${ms(quantile(this.#recent, 0.5))}, p99 ${ms(quantile(this.#recent, 0.99))}`;
  }

  #memory(): readonly string[] {
    const reading = this.#reading;
    if (reading === null) return [];
    const line = reading.loadLineMb;
    const used =
      line === null
        ? mb(reading.usedMb)
        : `${mb(reading.usedMb)}, ${percent(Math.round((100 * reading.usedMb) / line))} of line`;
    return [used];
  }
}
