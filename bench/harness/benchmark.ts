/** What a benchmark is, and what it hands back. */
import type { Progress } from './progress.js';

/** One thing that must hold. */
export interface Check {
  readonly check: string;
  readonly value: number;
  /** A comparison as text, such as `<= 0.05`. */
  readonly bound: string;
  readonly ok: boolean;
}

/** One line of the table for people. */
export interface Fact {
  readonly fact: string;
  readonly value: string;
}

export interface Outcome {
  readonly checks: readonly Check[];
  /** Figures around the checks, with their spread. */
  readonly facts: readonly Fact[];
  /** Raw samples and definitions, for the JSON. */
  readonly details: Readonly<Record<string, unknown>>;
  /** Files that `--keep` writes, by their path in the project. */
  readonly pictures?: Readonly<Record<string, string>>;
}

export interface Context {
  /** Small counts, only to see that the benchmark works: its figures mean nothing. */
  readonly quick: boolean;
  /** The one model that is asked for (`--model`), where a benchmark measures several. */
  readonly model: string | undefined;
  readonly progress: Progress;
  /** Runs when the benchmark has ended, however it ended; the last one first. */
  readonly defer: (undo: () => Promise<void>) => void;
}

export interface Benchmark {
  readonly name: string;
  readonly about: string;
  /** Takes so long that `all` leaves it out. */
  readonly apart?: boolean;
  readonly run: (context: Context) => Promise<Outcome>;
}

/** The benchmark cannot run on this machine, for the reason in the message. */
export class NotRunError extends Error {
  override readonly name = 'NotRunError';
}

/** Holds if the value is at most `most`; NaN never holds. */
export function atMost(check: string, value: number, most: number): Check {
  return { check, value, bound: `<= ${most}`, ok: value <= most };
}

/** Holds if the value is at least `least`; NaN never holds. */
export function atLeast(check: string, value: number, least: number): Check {
  return { check, value, bound: `>= ${least}`, ok: value >= least };
}

/** Holds if the value is just that one. */
export function exactly(check: string, value: number, wanted: number): Check {
  return { check, value, bound: `= ${wanted}`, ok: value === wanted };
}
