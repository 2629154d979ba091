import type { JobRecord, Ledger } from '../engines/ledger.js';
import type { JobEvent, Shard, ShardResult } from '../queue.js';
import { type Entry, readEntry, shardOf, written } from './entries.js';
import { Tally } from './tally.js';

/** Entries read at once: some hundred KB. */
const PAGE_ENTRIES = 500;
/** Ended jobs whose sum is kept; others are summed up anew when they are asked for. */
const MOST_ENDED = 64;

export interface LiveJob {
  readonly record: JobRecord;
  readonly tally: Tally;
}

interface Kept extends LiveJob {
  /** Replaced where the journal lost entries: who holds the job asks it for its sum anew. */
  tally: Tally;
  /** The last entry that was summed up; undefined: none was. */
  last: string | undefined;
  /** The reading that runs, shared by all who ask meanwhile. */
  reading: Promise<void> | undefined;
  /** Somebody asked after the reading began. */
  again: boolean;
  /** Whether it was read to its end once: what comes now is news. */
  isCurrent: boolean;
  piece: { readonly place: number; readonly entry: Entry & { kind: 'piece' } } | undefined;
}

/**
 * The sums of the jobs that this server deals with. Each is brought up to date by reading what its journal has more.
 *
 * A journal should only grow. But a Redis that was killed may come back without its last entries, and so may a replica that takes
 * over; others may have noted more since. So every reading begins with the last entry that was summed up: where that is not in its
 * place any more, the sum is made anew.
 */
export class LiveJobs {
  readonly #ledger: Ledger;
  readonly #tell: (event: JobEvent) => void;
  /** In the order of their last use. */
  readonly #jobs = new Map<string, Kept>();

  constructor(ledger: Ledger, tell: (event: JobEvent) => void) {
    this.#ledger = ledger;
    this.#tell = tell;
  }

  /** The job as of now. */
  async current(record: JobRecord): Promise<LiveJob> {
    const job = this.#keep(record);
    await this.#refresh(job);
    return job;
  }

  /** Sums the job up anew: what it rests on was not there. */
  async again(record: JobRecord): Promise<void> {
    const job = this.#keep(record);
    job.last = undefined;
    await this.#refresh(job);
  }

  /** Adds entries, and brings the sum up to date. */
  async append(record: JobRecord, entries: readonly Entry[]): Promise<LiveJob> {
    await this.#ledger.append(record, entries.map(written));
    return this.current(record);
  }

  async shard(job: LiveJob, index: number): Promise<Shard | undefined> {
    const place = job.tally.placeOfPiece(index);
    if (place === undefined) return undefined;
    const kept = this.#keep(job.record);
    if (kept.piece?.place !== place) {
      const [text] = await this.#ledger.read(job.record.id, place, 1);
      const entry = text === undefined ? undefined : readEntry(text);
      if (entry?.kind !== 'piece') return undefined;
      kept.piece = { place, entry };
    }
    return kept.piece === undefined ? undefined : shardOf(kept.piece.entry, index);
  }

  /** Results and failures of shards, by their number. */
  async outcomes(
    job: LiveJob,
    shards: readonly number[],
  ): Promise<ReadonlyMap<number, Entry & { kind: 'done' | 'failed' }>> {
    const places = shards.flatMap((shard) => job.tally.placeOf(shard) ?? []);
    const found = new Map<number, Entry & { kind: 'done' | 'failed' }>();
    for (const { from, to } of runsOf(places)) {
      const texts = await this.#ledger.read(job.record.id, from, to - from + 1);
      for (const [index, text] of texts.entries()) {
        const entry = readEntry(text);
        if (entry?.kind !== 'done' && entry?.kind !== 'failed') continue;
        // Of two results of a shard the first one counts.
        if (job.tally.placeOf(entry.shard) === from + index) found.set(entry.shard, entry);
      }
    }
    return found;
  }

  /** Those that had not ended when they were last looked at. */
  get unfinished(): readonly string[] {
    return [...this.#jobs].flatMap(([id, { tally }]) => (tally.hasEnded ? [] : [id]));
  }

  forget(id: string): void {
    this.#jobs.delete(id);
  }

  #keep(record: JobRecord): Kept {
    const kept = this.#jobs.get(record.id);
    const isNewer = kept !== undefined && kept.record.createdAtMs < record.createdAtMs;
    // Began anew meanwhile: the sum of the old journal is nobody's any more.
    const known = isNewer ? undefined : kept;
    const job: Kept = known ?? {
      ...{ record, tally: new Tally(record.request), last: undefined },
      ...{ reading: undefined, again: false, isCurrent: false, piece: undefined },
    };
    this.#jobs.delete(record.id);
    this.#jobs.set(record.id, job);
    if (known !== undefined) return job;
    this.#dropEnded(record.id);
    return job;
  }

  /** Open jobs stay: whoever works on one holds its sum, and every look at the queue needs it. */
  #dropEnded(except: string): void {
    const ended = [...this.#jobs].filter(([id, { tally, reading }]) => {
      return tally.hasEnded && reading === undefined && id !== except;
    });
    for (const [id] of ended.slice(0, -MOST_ENDED)) this.#jobs.delete(id);
  }

  /** Reads to the end as it is now or later. */
  async #refresh(job: Kept): Promise<void> {
    // What runs may have read past the place where news has come since.
    if (job.reading !== undefined) job.again = true;
    job.reading ??= this.#read(job);
    return job.reading;
  }

  /** Who asks while it runs is waited for; `reading` is cleared in the turn that ends it, so that nobody asks in between. */
  async #read(job: Kept): Promise<void> {
    try {
      do {
        job.again = false;
        await this.#readOn(job);
      } while (job.again);
      job.isCurrent = true;
    } finally {
      job.reading = undefined;
    }
  }

  async #readOn(job: Kept): Promise<void> {
    const { last, tally } = job;
    const known = tally.entries;
    const news = await this.#ledger.read(job.record.id, Math.max(0, known - 1), PAGE_ENTRIES);
    if (known > 0 && news[0] !== last) return this.#sumAnew(job);
    for (const text of known > 0 ? news.slice(1) : news) this.#add(job, text);
    if (news.length === PAGE_ENTRIES) await this.#readPages(job, (text) => this.#add(job, text));
  }

  /** Reads the rest of a journal, from the end of the sum on. */
  async #readPages(of: Pick<Kept, 'record' | 'tally'>, add: (text: string) => void): Promise<void> {
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const texts = await this.#ledger.read(of.record.id, of.tally.entries, PAGE_ENTRIES);
      for (const text of texts) add(text);
      if (texts.length < PAGE_ENTRIES) return;
    }
  }

  /** The new sum takes the place of the old one as a whole: nobody sees half of it. */
  async #sumAnew(job: Kept): Promise<void> {
    const { record } = job;
    const tally = new Tally(record.request);
    let last: string | undefined;
    await this.#readPages({ record, tally }, (text) => {
      tally.add(readEntry(text) ?? unreadable({ record, tally }));
      last = text;
    });
    const hadEnded = job.tally.hasEnded;
    Object.assign(job, { tally, last, piece: undefined });
    if (!job.isCurrent) return;
    this.#tell({ job: record.id, kind: 'planned' });
    if (tally.hasEnded && !hadEnded) this.#tell({ job: record.id, kind: 'ended' });
  }

  #add(job: Kept, text: string): void {
    const { tally, record } = job;
    const entry = readEntry(text) ?? unreadable(job);
    const hadEnded = tally.hasEnded;
    tally.add(entry);
    job.last = text;
    if (!job.isCurrent) return;
    const tell = (kind: JobEvent['kind']) => this.#tell({ job: record.id, kind });
    if (entry.kind === 'piece' || entry.kind === 'planned') tell('planned');
    if (entry.kind === 'done' || entry.kind === 'failed') tell('shard');
    if (entry.kind === 'retried') tell('created');
    if (tally.hasEnded && !hadEnded) tell('ended');
  }
}

/** A job whose journal cannot be read fails alone: others go on. */
function unreadable({ record, tally }: LiveJob): Entry {
  const reason = `entry ${tally.entries} of its journal cannot be read by this version`;
  return { kind: 'broken', atMs: record.createdAtMs, reason };
}

/** Places in few readings: what lies between two near ones is read along. */
function runsOf(
  places: readonly number[],
): readonly { readonly from: number; readonly to: number }[] {
  const near = 50;
  const runs: { from: number; to: number }[] = [];
  for (const place of [...places].sort((one, other) => one - other)) {
    const last = runs.at(-1);
    if (last !== undefined && place - last.to <= near && place - last.from < PAGE_ENTRIES) {
      last.to = place;
    } else runs.push({ from: place, to: place });
  }
  return runs;
}

/** The result of a shard that is done. */
export function resultOf(entry: Entry | undefined): ShardResult | null {
  return entry?.kind === 'done' ? entry.result : null;
}
