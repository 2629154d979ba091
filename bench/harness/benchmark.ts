/** What a benchmark is, and what it hands back. */
import type { Check } from './checks.js';
import type { Progress } from './progress.js';

export type { Check } from './checks.js';
export { atLeast, atMost, exactly } from './checks.js';

/** A figure without a bar, for the reader. */
export interface Fact {
  readonly fact: string;
  readonly value: string;
}

export interface Outcome {
  /** The figures of `about` in a few words, as the README shows them. */
  readonly headline?: string;
  readonly checks: readonly Check[];
  /** Figures around the checks, with their spread. */
  readonly facts: readonly Fact[];
  /** Raw samples and definitions, for the JSON. */
  readonly details: Readonly<Record<string, unknown>>;
  /** Files that `--keep` writes, by their path in the project. */
  readonly pictures?: Readonly<Record<string, string>>;
}

/** Counts that give the figures, and small ones that only show that the benchmark works. */
export interface Sizes<T> {
  readonly full: T;
  readonly quick: T;
}

export interface Context {
  /** Small counts: the figures mean nothing. */
  readonly quick: boolean;
  /** The one model that is asked for (`--model`), where a benchmark measures several. */
  readonly model: string | undefined;
  readonly progress: Progress;
  /** Runs when the benchmark has ended, however it ended; the last one first. */
  readonly defer: (undo: () => Promise<void>) => void;
}

/** What ends with the benchmark needs no more of its context. */
export type Deferring = Pick<Context, 'defer'>;

export interface Benchmark {
  readonly name: string;
  /** What it measures, as a noun phrase: `list` and the documents show it. */
  readonly about: string;
  /** `all` leaves it out, since it takes too long. */
  readonly notInAll?: boolean;
  readonly run: (context: Context) => Promise<Outcome>;
}

/** Benchmarks on one subject: a chapter of docs/figures.md. */
export interface Area {
  readonly title: string;
  readonly benchmarks: readonly Benchmark[];
}

/** The benchmark cannot run on this machine, for the reason in the message. */
export class NotRunError extends Error {
  override readonly name = 'NotRunError';
}

export function sizeOf<T>({ quick }: Pick<Context, 'quick'>, sizes: Sizes<T>): T {
  return quick ? sizes.quick : sizes.full;
}
