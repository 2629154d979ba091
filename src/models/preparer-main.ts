/**
 * A throw-away process: it writes one mapped form, or measures one, and exits. It may take as much
 * memory as the model is large, and whatever a broken model does to it, it does to it alone.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, PlimsollError, systemCodeOf } from '../errors.js';
import { adviseOutOfMemoryKiller, collectGarbage } from '../system/own-process.js';
import { readOwnMemory, readPeakRss, resetOwnPeakRss } from '../system/process-memory.js';
import { usesArena } from './mapped-form.js';
import { MappedSession, scoresOf, writeMappedGraph } from './onnx-session.js';
import type { PreparerJob, PreparerMessage } from './preparer-protocol.js';
import { GRAPH_FILE, modelFiles } from './repository.js';
import { type Encoding, TextEncoder } from './tokenizer.js';
import { syncFile } from './written-files.js';

/** The kernel takes this process first when memory runs out (proc(5), oom_score_adj). */
const EXPENDABLE = 1000;

/** Runs that are timed with and without the arena. */
const COMPARED_RUNS = 5;

type MeasureJob = PreparerJob & { job: 'measure' };

function parseJob(): PreparerJob {
  // The parent is this same program: the job needs no check beyond being there.
  return JSON.parse(process.argv[2] ?? 'null') as PreparerJob;
}

async function write(job: PreparerJob & { job: 'write' }): Promise<void> {
  const digest = await digestOf(job.source);
  const directory = path.dirname(job.graphFile);
  await mkdir(directory, { recursive: true });
  await writeMappedGraph(path.join(job.source, GRAPH_FILE), job.graphFile, job.weightsFile);
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

  // The longest inputs take the most: attention grows with the square of the length.
  const length = Math.min(job.maxTokens, Math.max(1, job.batchTokens));
  const items = Math.max(1, Math.min(job.batchItems, Math.floor(job.batchTokens / length)));
  const row = encodingOf(Array.from({ length }, (_, index) => ids[index % ids.length] ?? 0));
  const arenaSpeedup = await compare(lean, withArena, row, job.labelCount);
  const chosen = usesArena({ arenaSpeedup }) ? withArena : lean;
  await (chosen === lean ? withArena : lean).release();
  // Until here two sessions had the same weights mapped: that peak is none that a worker will have.
  const isFresh = await resetOwnPeakRss();
  await chosen.run(
    Array.from({ length: items }, () => row),
    job.labelCount,
  );
  collectGarbage();
  const ran = await readOwnMemory();
  const peak = isFresh ? ((await readPeakRss()) ?? ran.rssBytes) : ran.rssBytes;
  // The peak of the resident size, less the mapped weights that it holds: they are no private bytes.
  const mappedBytes = cleanBytes(ran) - cleanBytes(start);
  const peakBytes = Math.max(above(start, ran), peak - start.rssBytes - mappedBytes);
  tell({ type: 'ran', arenaSpeedup, privateBytes: above(start, ran), peakBytes });
}

/** CPU time of the first session ÷ that of the second: medians of runs that alternate. */
async function compare(
  first: MappedSession,
  second: MappedSession,
  row: Encoding,
  labelCount: number,
): Promise<number> {
  const times: [number[], number[]] = [[], []];
  for (let round = 0; round <= COMPARED_RUNS; round += 1) {
    for (const [index, session] of [first, second].entries()) {
      const begun = process.cpuUsage();
      await session.run([row], labelCount);
      const { user, system } = process.cpuUsage(begun);
      // The first run of a session faults its weights in.
      if (round > 0) times[index]?.push(user + system);
    }
  }
  const [a, b] = times.map((of) => of.sort((x, y) => x - y)[Math.floor(of.length / 2)] ?? 1);
  return (a ?? 1) / Math.max(1, b ?? 1);
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
async function digestOf(directory: string): Promise<string> {
  const hash = createHash('sha256');
  for (const file of await modelFiles(directory)) {
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
  adviseOutOfMemoryKiller(EXPENDABLE);
  try {
    const job = parseJob();
    await (job.job === 'write' ? write(job) : measure(job));
  } catch (error) {
    const code = error instanceof PlimsollError ? error.code : 'INTERNAL';
    tell({ type: 'failed', code, message: messageOf(error) });
  }
  process.disconnect?.();
}

await main();
