/**
 * A throw-away process: it writes one mapped form, or measures one, and exits. It may take as much
 * memory as the model is large, and whatever a broken model does to it, it does to it alone.
 */
import os from 'node:os';
import path from 'node:path';
import { messageOf, PlimsollError, systemCodeOf } from '../../errors.js';
import { adviseOutOfMemoryKiller, collectGarbage } from '../../system/own-process.js';
import { dieWithParent } from '../../system/process/parent-death.js';
import { readOwnMemory, readPeakRss, resetOwnPeakRss } from '../../system/process-memory.js';
import { MappedSession } from '../run/onnx-session.js';
import type { ServingPlan } from '../run/serving-plan.js';
import { type Encoding, TextEncoder } from '../run/tokenizer.js';
import { type CompareTokenizers, compareTokenizers } from './compare-tokenizers.js';
import { checksumsOf, digestOfSources, faultOfContents } from './forms/checksums.js';
import { asDiskFailure } from './forms/disk-failure.js';
import { FAST_FORM, MAPPED_GRAPH, MAPPED_WEIGHTS, usesArena } from './mapped-form.js';
import type { MeasureJob, PreparerJob, PreparerMessage } from './preparer-protocol.js';
import { tryCandidates } from './verify/try-candidates.js';
import { writeForm } from './write-form.js';

/** The kernel takes this process first when memory runs out (proc(5), oom_score_adj). */
const EXPENDABLE = 1000;

/** Runs that are timed of each of the ways that are compared. */
const COMPARED_RUNS = 5;
const US_PER_MS = 1000;

function parseJob(): PreparerJob {
  // The parent is this same program: the job needs no check beyond being there.
  return JSON.parse(process.argv[2] ?? 'null') as PreparerJob;
}

async function measure(job: MeasureJob): Promise<void> {
  collectGarbage();
  const start = await readOwnMemory();
  const begun = performance.now();
  const { plan } = job.findings;
  const lean = await MappedSession.open(job.graphFile, { ...job, arena: false });
  const encoder = await encoderOf(job);
  const loadMs = performance.now() - begun;
  const [row = encodingOf([0])] = await encoder.encodeAll(['Subject: measured when it ran']);
  // Until it has run it has not taken what it takes.
  await lean.run([row], plan);
  collectGarbage();
  const privateBytes = above(start, await readOwnMemory());
  // Before the form is told of, and so before its folder gets its final name.
  const withArena = await MappedSession.open(job.graphFile, { ...job, arena: true });
  tell({ type: 'loaded', loadMs, privateBytes });

  const batch = fullBatch(job, row.ids);
  const [leanMs = 1, arenaMs = 1] = await timesOf([lean, withArena], batch[0] ?? row, plan);
  const arenaSpeedup = leanMs / Math.max(1 / US_PER_MS, arenaMs);
  const chosen = usesArena({ arenaSpeedup }) ? withArena : lean;
  await (chosen === lean ? withArena : lean).release();
  // Until here two sessions had the same weights mapped: that peak is none that a worker will have.
  const isFresh = await resetOwnPeakRss();
  await chosen.run(batch, plan);
  await runLongest(chosen, job, row.ids);
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
  const { plan } = job.findings;
  const encoder = await encoderOf(job);
  const text = 'Subject: a short text, as most of them are';
  const [row = encodingOf([0])] = await encoder.encodeAll([text]);
  collectGarbage();
  const start = await readOwnMemory();
  const cold = await MappedSession.open(job.graphFile, job);
  await cold.run([row], plan);
  const before = await readOwnMemory();
  const isFresh = await resetOwnPeakRss();
  const begun = process.cpuUsage();
  const hot = await MappedSession.open(job.graphFile, { ...job, arena: true, gear: 'hot' });
  await hot.run([row], plan);
  // CPU time: what else the machine does at this moment must not stay in a figure that is kept.
  const shiftMs = cpuMsSince(begun);
  // The arena keeps what the largest batch takes.
  await hot.run(fullBatch(job, row.ids), plan);
  await runLongest(hot, job, row.ids);
  const after = await readOwnMemory();
  const peak = isFresh ? ((await readPeakRss()) ?? after.rssBytes) : after.rssBytes;
  const mappedBytes = cleanBytes(after) - cleanBytes(before);
  const shiftBytes = Math.max(above(before, after), peak - before.rssBytes - mappedBytes);
  const [coldMs = 0, hotMs = 0] = await timesOf([cold, hot], row, plan);
  // CPU time of all threads: what a caller waits for is that divided by them.
  const savedMsPerRun = Math.max(0, coldMs - hotMs) / job.threads;
  tell({ type: 'shifted', shiftMs, savedMsPerRun, peakBytes: above(start, before) + shiftBytes });
}

/** CPU time of one run in each session, in ms: medians of runs that alternate. */
async function timesOf(
  sessions: readonly MappedSession[],
  row: Encoding,
  plan: ServingPlan,
): Promise<readonly number[]> {
  const times = sessions.map((): number[] => []);
  for (let round = 0; round <= COMPARED_RUNS; round += 1) {
    for (const [index, session] of sessions.entries()) {
      const begun = process.cpuUsage();
      await session.run([row], plan);
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

function encoderOf({ tokenizer, findings }: MeasureJob): Promise<TextEncoder> {
  return TextEncoder.open(tokenizer, findings.maxTokens, findings.tokenizer);
}

/** Tokens of the longest text that may run. */
function longestOf({ findings }: MeasureJob): number {
  return findings.memoryCap?.tokens ?? findings.maxTokens;
}

/** The largest batch. The longest inputs take the most: attention grows with the square of the length. */
function fullBatch(job: MeasureJob, ids: readonly number[]): readonly Encoding[] {
  const length = Math.min(longestOf(job), Math.max(1, job.batchTokens));
  const items = Math.max(1, Math.min(job.batchItems, Math.floor(job.batchTokens / length)));
  return Array.from({ length: items }, () => rowOf(length, ids));
}

function rowOf(length: number, ids: readonly number[]): Encoding {
  return encodingOf(Array.from({ length }, (_, index) => ids[index % ids.length] ?? 0));
}

/** A text that is far longer than a batch runs by itself, and takes more than any batch. */
const FAR_LONGER = 2;

async function runLongest(
  session: MappedSession,
  job: MeasureJob,
  ids: readonly number[],
): Promise<void> {
  const length = longestOf(job);
  if (length <= FAR_LONGER * job.batchTokens) return;
  await session.run([rowOf(length, ids)], job.findings.plan);
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

function tell(message: PreparerMessage): void {
  process.send?.(message);
}

/** A text may end the native tokenizer, and this process with it: whoever waits has to know where. */
const compareAndTell: CompareTokenizers = async (...of) => {
  tell({ type: 'comparing', isOn: true });
  const compared = await compareTokenizers(...of);
  tell({ type: 'comparing', isOn: false });
  return compared;
};

/** Nobody waits for it: every other process comes first. */
const LOWEST_PRIORITY = 19;

async function run(job: PreparerJob): Promise<void> {
  switch (job.job) {
    case 'write':
      return tell({ type: 'written', ...(await writeForm(job, compareAndTell)) });
    case 'verify': {
      const verdict = await tryCandidates(job);
      const names = [MAPPED_GRAPH, MAPPED_WEIGHTS].map((name) => path.join(FAST_FORM, name));
      const files = await checksumsOf(path.dirname(job.graphFile), names);
      return tell({ type: 'verified', verdict, files });
    }
    case 'digest':
      return tell({ type: 'digested', digest: await digestOfSources(job.source, job.files) });
    case 'check': {
      os.setPriority(LOWEST_PRIORITY);
      const fault = await faultOfContents(job.directory, job.files);
      return tell({ type: 'checked', ...(fault === undefined ? {} : { fault }) });
    }
    case 'measure':
      return measure(job);
    case 'shift':
      return measureShift(job);
  }
}

/** Where our own files lie, of what the job touches. */
function ownFolderOf(job: PreparerJob): string {
  if (job.job === 'digest') return '';
  return job.job === 'check' ? job.directory : path.dirname(job.graphFile);
}

/** Lack of memory says nothing of the model: it is tried again. */
const LACK_OF_MEMORY = 'ENOMEM';

async function main(): Promise<void> {
  dieWithParent();
  adviseOutOfMemoryKiller(EXPENDABLE);
  const job = parseJob();
  try {
    await run(job);
  } catch (error) {
    const other = systemCodeOf(error) === LACK_OF_MEMORY ? 'INTERNAL' : 'MODEL_UNUSABLE';
    const known =
      error instanceof PlimsollError
        ? error
        : asDiskFailure(error, ownFolderOf(job) || '/dev/null');
    tell({ type: 'failed', code: known?.code ?? other, message: messageOf(known ?? error) });
  }
  process.disconnect?.();
}

await main();
