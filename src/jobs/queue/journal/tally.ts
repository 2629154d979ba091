import type { JobRequest, JobStateName } from '../../../contract/jobs.js';
import type { JobModel } from '../queue.js';
import { BytesDone } from './bytes-done.js';
import type { Entry } from './entries.js';
import { NumberList } from './number-list.js';

export type ShardOutcome = 'done' | 'failed' | undefined;

const DEFAULT_SHARD_ROWS = 4000;

/**
 * Where a job stands: the sum of its entries, in their order. Every server comes to the same sum.
 *
 * 1. What was done stays done: a second result of a shard changes nothing, nor does a failure after it.
 * 2. Of a cancel, a failure of the whole job and a manifest the first one counts; the job has ended then.
 * 3. A retry opens an ended job again: its failed shards are to be done again. It changes nothing while the job is open.
 * 4. What rests on entries that are not there counts for nothing: a plan with fewer shards than it says, the outcome of a shard that is
 *    not known, a manifest while shards have no outcome. The engine has lost those entries, and the server that noted the later ones
 *    did not know that yet; the job goes on from what there is.
 *
 * It takes some 30 bytes for each shard.
 */
export class Tally {
  readonly #request: JobRequest;
  readonly #bytesDone: BytesDone;
  /** By shard: 0, or the place of its entry plus one, negative for a failed one. */
  readonly #outcomes = new NumberList();
  readonly #firstOfPiece = new NumberList();
  readonly #placeOfPiece = new NumberList();
  #end: 'cancelled' | 'broken' | 'finished' | undefined;
  #entries = 0;
  #known = 0;
  #done = 0;
  #failed = 0;
  #planned = false;
  #plansAnew = false;
  files = 0;
  bytes = 0;
  rows = 0;
  bad = 0;
  model: JobModel | null = null;
  startedAtMs: number | null = null;
  endedAtMs: number | null = null;
  manifest: string | null = null;
  error: string | null = null;

  constructor(request: JobRequest) {
    this.#request = request;
    this.#bytesDone = new BytesDone(request.shard_rows ?? DEFAULT_SHARD_ROWS);
  }

  /** Entries that it is the sum of. */
  get entries(): number {
    return this.#entries;
  }

  get known(): number {
    return this.#known;
  }

  get done(): number {
    return this.#done;
  }

  get failed(): number {
    return this.#failed;
  }

  get planned(): boolean {
    return this.#planned;
  }

  get hasEnded(): boolean {
    return this.#end !== undefined;
  }

  /** Whether a retry has to plan anew: the planning failed, or the input is not as it was planned. */
  get plansAnew(): boolean {
    return this.#plansAnew || (this.#end === 'broken' && !this.#planned);
  }

  /** Whether every shard is done or failed, so that the manifest is next. */
  get isSettled(): boolean {
    return this.#planned && this.#done + this.#failed >= this.#known;
  }

  /**
   * 1. What ended it. A manifest of a job with failed shards is one of a failed job.
   * 2. Before a machine began: waiting.
   * 3. Every shard is done or failed: finishing.
   */
  get state(): JobStateName {
    if (this.#end === 'cancelled') return 'cancelled'; // 1
    if (this.#end === 'broken') return 'failed';
    if (this.#end === 'finished') return this.#failed > 0 ? 'failed' : 'done';
    if (this.startedAtMs === null) return 'waiting'; // 2
    return this.isSettled ? 'finishing' : 'running'; // 3
  }

  /** Bytes of the input that are done. */
  get bytesDone(): number {
    return Math.min(this.bytes, this.#bytesDone.bytes);
  }

  /** Rows that wait, about: those of other shards tell how many there are in a range of bytes. */
  get rowsLeft(): number {
    const left = this.#known - this.#done - this.#failed;
    const usual = this.#request.shard_rows ?? DEFAULT_SHARD_ROWS;
    return Math.round(left * (this.#done > 0 ? this.rows / this.#done : usual));
  }

  outcomeOf(shard: number): ShardOutcome {
    const outcome = this.#outcomes.at(shard);
    return outcome === 0 ? undefined : outcome > 0 ? 'done' : 'failed';
  }

  /** Place of the entry with a shard's outcome; undefined if it has none. */
  placeOf(shard: number): number | undefined {
    const outcome = this.#outcomes.at(shard);
    return outcome === 0 ? undefined : Math.abs(outcome) - 1;
  }

  /** Place of the entry that has the range of a shard; undefined if it is not known. */
  placeOfPiece(shard: number): number | undefined {
    if (shard < 0 || shard >= this.#known) return undefined;
    let [low, high] = [0, this.#firstOfPiece.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#firstOfPiece.at(middle) <= shard) low = middle;
      else high = middle - 1;
    }
    return this.#placeOfPiece.at(low);
  }

  add(entry: Entry): void {
    const place = this.#entries;
    this.#entries += 1;
    switch (entry.kind) {
      case 'began':
        this.startedAtMs ??= entry.atMs;
        this.model ??= entry.model ?? null;
        break;
      case 'piece':
        this.#addPiece(entry, place);
        break;
      case 'planned':
        if (entry.shards === undefined || this.#known >= entry.shards) this.#planned = true; // 4
        break;
      case 'done':
      case 'failed':
        this.#addOutcome(entry, place);
        break;
      case 'retried':
        this.#reopen();
        break;
      default:
        this.#addEnd(entry);
    }
  }

  #addPiece(piece: Entry & { kind: 'piece' }, place: number): void {
    // A machine that was taken for lost may go on planning for a moment: the same shards again.
    if (piece.first !== this.#known) return;
    this.#firstOfPiece.push(piece.first);
    this.#placeOfPiece.push(place);
    for (const part of piece.parts) {
      this.#bytesDone.plan(part);
      this.#known += part.ranges.length;
    }
    this.files = piece.files;
    this.bytes = piece.bytes;
  }

  #addOutcome(entry: Entry & { kind: 'done' | 'failed' }, place: number): void {
    if (entry.shard >= this.#known) return; // 4
    const before = this.outcomeOf(entry.shard);
    if (before === 'done' || before === entry.kind) return; // 1
    if (entry.kind === 'failed') {
      if (entry.anew === true) this.#plansAnew = true;
      this.#failed += 1;
      this.#outcomes.set(entry.shard, -(place + 1));
      return;
    }
    if (before === 'failed') this.#failed -= 1;
    this.#done += 1;
    this.#outcomes.set(entry.shard, place + 1);
    this.#bytesDone.done(entry.shard);
    this.rows += entry.result.rows;
    this.bad += entry.result.bad;
    this.model ??= entry.result.model;
  }

  #addEnd(entry: Entry & { kind: 'cancelled' | 'broken' | 'finished' }): void {
    if (this.#end !== undefined) return; // 2
    if (entry.kind === 'finished' && !this.isSettled) return; // 4
    this.#end = entry.kind;
    this.endedAtMs = entry.atMs;
    if (entry.kind === 'broken') {
      this.error = entry.reason;
      if (entry.anew === true) this.#plansAnew = true;
    }
    if (entry.kind === 'finished') this.manifest = entry.manifest;
  }

  #reopen(): void {
    if (this.#end === undefined) return; // 3
    this.#end = undefined;
    this.endedAtMs = null;
    this.manifest = null;
    this.error = null;
    if (this.#failed === 0) return;
    for (let shard = 0; shard < this.#outcomes.length; shard += 1) {
      if (this.#outcomes.at(shard) < 0) this.#outcomes.set(shard, 0);
    }
    this.#failed = 0;
  }
}
