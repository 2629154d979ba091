import type { JobView } from '../../contract/jobs.js';

const BAR_CELLS = 24;
/** Time between two lines where there is no terminal, ms. */
const LINE_MS = 5000;

/** Progress of a job: one line that is drawn again on a terminal, else a line every few seconds. */
export class JobDisplay {
  readonly #out: NodeJS.WriteStream;
  readonly #isTerminal: boolean;
  #toldMs = Number.NEGATIVE_INFINITY;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
    this.#isTerminal = out.isTTY === true;
  }

  show(job: JobView): void {
    if (this.#isTerminal) {
      this.#out.write(`\r\x1b[K${progressLine(job).slice(0, this.#out.columns || 120)}`);
      return;
    }
    const nowMs = performance.now();
    if (nowMs - this.#toldMs < LINE_MS) return;
    this.#toldMs = nowMs;
    this.#out.write(`${progressLine(job)}\n`);
  }

  /** The line is done with: what is printed now has a line of its own. */
  end(): void {
    if (this.#isTerminal) this.#out.write('\r\x1b[K');
  }
}

/** How far a job is, in one line. */
export function progressLine(job: JobView): string {
  const { rows, shards } = job;
  const share = shareOf(job);
  const filled = Math.round((share ?? 0) * BAR_CELLS);
  const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_CELLS - filled)}`;
  const facts = [
    share === undefined ? job.state : `${Math.floor(share * 100)} %`,
    `${count(rows.done)}${rows.expected === null ? '' : ` of about ${count(rows.expected)}`} rows`,
    `shards ${shards.done}/${job.planned ? shards.known : `${shards.known}+`}`,
  ];
  if (job.rows_per_second !== null) facts.push(`${count(job.rows_per_second)} rows/s`);
  if (job.seconds_left !== null) facts.push(`${duration(job.seconds_left)} left`);
  if (job.waiting_for !== null) facts.push(`waits: ${job.waiting_for}`);
  if (rows.bad > 0) facts.push(`${count(rows.bad)} bad`);
  if (shards.failed > 0) facts.push(`${shards.failed} shards failed`);
  return `${bar} ${facts.join(' · ')}`;
}

/** What became of a job, in some lines. */
export function outcomeLines(job: JobView): readonly string[] {
  const { rows, shards } = job;
  const took =
    job.started_at === null || job.ended_at === null
      ? ''
      : ` in ${duration((Date.parse(job.ended_at) - Date.parse(job.started_at)) / 1000)}`;
  const pace = job.rows_per_second === null ? '' : `, ${count(job.rows_per_second)} rows/s`;
  const lines = [
    `${job.state}: ${count(rows.done)} rows in ${shards.done} parts${took}${pace}; ${count(rows.bad)} bad`,
  ];
  if (job.error !== null) lines.push(job.error);
  for (const { shard, file, reason, attempts } of job.failures.slice(0, 10)) {
    lines.push(`shard ${shard} of ${file} failed ${attempts} times: ${reason}`);
  }
  if (job.manifest !== null) lines.push(`manifest: ${job.manifest}`);
  return lines;
}

function shareOf({ rows, shards, planned }: JobView): number | undefined {
  if (rows.expected !== null && rows.expected > 0) return Math.min(1, rows.done / rows.expected);
  return planned && shards.known > 0 ? shards.done / shards.known : undefined;
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function duration(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
