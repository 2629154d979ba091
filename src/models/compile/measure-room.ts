/** The longest text that a graph takes, and that memory and time allow, found out by running it. */
import { PlimsollError } from '../../errors.js';
import { readOwnMemory, readPeakRss, resetOwnPeakRss } from '../../system/process-memory.js';
import type { MappedSession } from '../run/onnx-session.js';
import type { Findings, ServingPlan } from '../run/serving-plan.js';
import type { MakeRow } from './inspect-graph.js';
import type { RoomBudget } from './preparer-protocol.js';

type Room = Pick<Findings, 'maxTokens' | 'memoryCap'>;

/** Up to this many tokens a text is run at once; longer ones are approached in doublings. */
const FIRST_LENGTH = 512;
/** Attention grows with the square of the length. */
const GROWTH = 4;
const SAFETY = 0.85;
/** Lengths that are taken for as good as the longest that runs. */
const LEAST_TOKENS = 4;

interface Ran {
  readonly peakBytes: number;
  readonly ms: number;
}

/**
 * 1. The longest text runs: that many. Long ones are approached in doublings, so that none takes more than four times
 *    the memory of one that was measured.
 * 2. Before the next would take more memory or time than there is, the length that just fits becomes the cap.
 * 3. A length that the graph refuses: the longest that it takes is looked for by halving.
 *
 * @throws PlimsollError MODEL_UNUSABLE if not even the shortest text runs
 */
export async function measureRoom(
  session: MappedSession,
  plan: ServingPlan,
  makeRow: MakeRow,
  maxTokens: number,
  budget: RoomBudget,
): Promise<Room> {
  const most = plan.fixedLength === undefined ? maxTokens : Math.min(maxTokens, plan.fixedLength);
  const run = (length: number) => measured(session, plan, makeRow, length);
  let good = 0;
  let last: Ran | undefined;
  for (const length of lengthsTo(most)) {
    if (last !== undefined && isTooMuch(last, (length / good) ** 2, budget)) {
      const cap = await capBetween(good, last, budget, run); // 2
      return { maxTokens: most, memoryCap: cap };
    }
    const ran = await run(length).catch((error: unknown) => {
      if (error instanceof PlimsollError) return undefined;
      throw error;
    });
    if (ran === undefined) return { maxTokens: await longest(good, length, run) }; // 3
    [good, last] = [length, ran];
  }
  return { maxTokens: most }; // 1
}

function lengthsTo(most: number): readonly number[] {
  const lengths: number[] = [];
  for (let length = FIRST_LENGTH; length < most; length *= 2) lengths.push(length);
  return [...lengths, most];
}

function isTooMuch(last: Ran, growth: number, budget: RoomBudget): boolean {
  const factor = Math.min(GROWTH, growth);
  return last.peakBytes * factor > budget.bytes || last.ms * factor > budget.ms;
}

/** A length that fits by the square law, tried; else the last that was measured. */
async function capBetween(
  good: number,
  last: Ran,
  budget: RoomBudget,
  run: (length: number) => Promise<Ran>,
): Promise<{ tokens: number; bytes: number }> {
  const factor = Math.min(budget.bytes / last.peakBytes, budget.ms / last.ms) * SAFETY;
  const tokens = Math.floor(good * Math.sqrt(Math.min(GROWTH, factor)));
  if (tokens > good) {
    const ran = await run(tokens).catch(() => undefined);
    if (ran !== undefined && ran.peakBytes <= budget.bytes) return { tokens, bytes: ran.peakBytes };
  }
  return { tokens: good, bytes: last.peakBytes };
}

/** @param bad a length that the graph refuses; @param good one that it takes, or 0 */
async function longest(
  good: number,
  bad: number,
  run: (length: number) => Promise<unknown>,
): Promise<number> {
  let [low, high] = [good, bad];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    const isGood = await run(middle).then(
      () => true,
      () => false,
    );
    if (isGood) low = middle;
    else high = middle;
  }
  if (low >= LEAST_TOKENS) return low;
  const reason = `its graph takes ${low} tokens at most, which is no room for a text`;
  throw new PlimsollError('MODEL_UNUSABLE', reason);
}

async function measured(
  session: MappedSession,
  plan: ServingPlan,
  makeRow: MakeRow,
  length: number,
): Promise<Ran> {
  const row = makeRow(length);
  const isFresh = await resetOwnPeakRss();
  const before = await readOwnMemory();
  const begun = performance.now();
  await session.run([row], plan);
  const ms = performance.now() - begun;
  // Without a peak of its own nothing is known of the memory, and nothing is refused for it.
  const peak = isFresh ? ((await readPeakRss()) ?? 0) : 0;
  return { peakBytes: Math.max(1, peak - before.rssBytes), ms };
}
