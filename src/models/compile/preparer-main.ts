/**
 * A throw-away process: it writes one mapped form, or measures one, and exits. It may take as much
 * memory as the model is large, and whatever a broken model does to it, it does to it alone.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, PlimsollError, systemCodeOf } from '../../errors.js';
import { adviseOutOfMemoryKiller, collectGarbage } from '../../system/own-process.js';
import { dieWithParent } from '../../system/process/parent-death.js';
import { readOwnMemory, readPeakRss, resetOwnPeakRss } from '../../system/process-memory.js';
import { modelFiles } from '../intake/repository.js';
import { MappedSession, scoresOf, writeMappedGraph } from '../run/onnx-session.js';
import { type Encoding, TextEncoder } from '../run/tokenizer.js';
import { usesArena } from './mapped-form.js';
import type { PreparerJob, PreparerMessage } from './preparer-protocol.js';
import { syncFile } from './written-files.js';

/** The kernel takes this process first when memory runs out (proc(5), oom_score_adj). */
const EXPENDABLE = 1000;

/** Runs that are timed of each of the ways that are compared. */
const COMPARED_RUNS = 5;
const US_PER_MS = 1000;

type MeasureJob = PreparerJob & { job: 'measure' | 'shift' };

function parseJob(): PreparerJob {
  // The parent is this same program: the job needs no check beyond being there.
  return JSON.parse(process.argv[2] ?? 'null') as PreparerJob;
}

async function write(job: PreparerJob & { job: 'write' }): Promise<void> {
  const digest = await digestOf(job.source, job.sourceGraph);
  const directory = path.dirname(job.graphFile);
  await mkdir(directory, { recursive: true });
  await writeMappedGraph(path.join(job.source, job.sourceGraph), job.graphFile, job.weightsFile);
  await syncFile(job.graphFile);
  await syncFile(path.join(directory, job.weightsFile)).catch((error: unknown) => {
    // A graph whose weights are all small has no weights file.
    if (systemCodeOf(error) !== 'ENOENT') throw error;
  });
  tell({ type: 'written', digest });
}

async function measure(job: MeasureJob): Promise<void> {
  collectGarbage();
  const start = await readOwnMemory();
  const begun = performance.now();
  const lean = await MappedSession.open(job.graphFile, { ...job, arena: false });
  const encoder = await TextEncoder.open(job.source, job.maxTokens);
  const loadMs = performance.now() - begun;
  const { ids } = encoder.encode('Subject: measured when it ran');
  // One short run: a graph that opens may still fail, or give another number of labels.
  scoresOf(await lean.run([encodingOf(ids)], job.labelCount), job.labelCount, job.scheme);
  collectGarbage();
  const privateBytes = above(start, await readOwnMemory());
  // Before the form is told of, and so before its folder gets its final name.
  const withArena = await MappedSession.open(job.graphFile, { ...job, arena: true });
  tell({ type: 'loaded', loadMs, privateBytes });

  const batch = fullBatch(job, ids);
  const [row = encodingOf(ids)] = batch;
  const [leanMs = 1, arenaMs = 1] = await timesOf([lean, withArena], row, job.labelCount);
  const arenaSpeedup = leanMs / Math.max(1 / US_PER_MS, arenaMs);
  const chosen = usesArena({ arenaSpeedup }) ? withArena : lean;
  await (chosen === lean ? withArena : lean).release();
  // Until here two sessions had the same weights mapped: that peak is none that a worker will have.
  const isFresh = await resetOwnPeakRss();
  await chosen.run(batch, job.labelCount);
  collectGarbage();
  const ran = await readOwnMemory();
  const peak = isFresh ? ((await readPeakRss()) ?? ran.rssBytes) : ran.rssBytes;
  // The peak of the resident size, less the mapped weights that it holds: they are no private bytes.
  const mappedBytes = cleanBytes(ran) - cleanBytes(start);
  const peakBytes = Math.max(above(start, ran), peak - start.rssBytes - mappedBytes);
  tell({ type: 'ran', arenaSpeedup, privateBytes: above(start, ran), peakBytes });
}

/** Shifts to the hot gear as a worker does, with the cold one open beside it until the other has run. */
async function measureShift(job: MeasureJob): Promise<void> {
  const encoder = await TextEncoder.open(job.source, job.maxTokens);
  const row = encodingOf(encoder.encode('Subject: a short text, as most of them are').ids);
  collectGarbage();
  const start = await readOwnMemory();
  const cold = await MappedSession.open(job.graphFile, job);
  await cold.run([row], job.labelCount);
  const before = await readOwnMemory();
  const isFresh = await resetOwnPeakRss();
  const begun = process.cpuUsage();
  const hot = await MappedSession.open(job.graphFile, { ...job, arena: true, gear: 'hot' });
  await hot.run([row], job.labelCount);
  // CPU time: what else the machine does at this moment must not stay in a figure that is kept.
  const shiftMs = cpuMsSince(begun);
  // The arena keeps what the largest batch takes.
  await hot.run(fullBatch(job, row.ids), job.labelCount);
  const after = await readOwnMemory();
  const peak = isFresh ? ((await readPeakRss()) ?? after.rssBytes) : after.rssBytes;
  const mappedBytes = cleanBytes(after) - cleanBytes(before);
  const shiftBytes = Math.max(above(before, after), peak - before.rssBytes - mappedBytes);
  const [coldMs = 0, hotMs = 0] = await timesOf([cold, hot], row, job.labelCount);
  // CPU time of all threads: what a caller waits for is that divided by them.
  const savedMsPerRun = Math.max(0, coldMs - hotMs) / job.threads;
  tell({ type: 'shifted', shiftMs, savedMsPerRun, peakBytes: above(start, before) + shiftBytes });
}

/** CPU time of one run in each session, in ms: medians of runs that alternate. */
async function timesOf(
  sessions: readonly MappedSession[],
  row: Encoding,
  labelCount: number,
): Promise<readonly number[]> {
  const times = sessions.map((): number[] => []);
  for (let round = 0; round <= COMPARED_RUNS; round += 1) {
    for (const [index, session] of sessions.entries()) {
      const begun = process.cpuUsage();
      await session.run([row], labelCount);
      const ms = cpuMsSince(begun);
      // The first run of a session faults its weights in.
      if (round > 0) times[index]?.push(ms);
    }
  }
  return times.map((of) => of.sort((x, y) => x - y)[Math.floor(of.length / 2)] ?? 0);
}

function cpuMsSince(begun: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(begun);
  return (user + system) / US_PER_MS;
}

/** The largest batch. The longest inputs take the most: attention grows with the square of the length. */
function fullBatch(job: MeasureJob, ids: readonly number[]): readonly Encoding[] {
  const length = Math.min(job.maxTokens, Math.max(1, job.batchTokens));
  const items = Math.max(1, Math.min(job.batchItems, Math.floor(job.batchTokens / length)));
  const row = encodingOf(Array.from({ length }, (_, index) => ids[index % ids.length] ?? 0));
  return Array.from({ length: items }, () => row);
}

function encodingOf(ids: readonly number[]): Encoding {
  return { ids, truncated: false };
}

function above(start: { privateBytes: number }, now: { privateBytes: number }): number {
  return Math.max(0, now.privateBytes - start.privateBytes);
}

function cleanBytes(of: { rssBytes: number; privateBytes: number }): number {
  return of.rssBytes - of.privateBytes;
}

/** SHA-256 over the names and contents of the model's files. */
async function digestOf(directory: string, graphFile: string): Promise<string> {
  const hash = createHash('sha256');
  for (const file of await modelFiles(directory, graphFile)) {
    hash.update(`${file}\n`);
    try {
      for await (const chunk of createReadStream(path.join(directory, file))) hash.update(chunk);
    } catch (error) {
      if (systemCodeOf(error) !== 'ENOENT') throw error;
    }
  }
  return hash.digest('hex');
}

function tell(message: PreparerMessage): void {
  process.send?.(message);
}

async function main(): Promise<void> {
  dieWithParent();
  adviseOutOfMemoryKiller(EXPENDABLE);
  try {
    const job = parseJob();
    if (job.job === 'write') await write(job);
    else await (job.job === 'measure' ? measure(job) : measureShift(job));
  } catch (error) {
    const code = error instanceof PlimsollError ? error.code : 'INTERNAL';
    tell({ type: 'failed', code, message: messageOf(error) });
  }
  process.disconnect?.();
}

await main();
