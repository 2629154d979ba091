/** The shape of a comparison with an earlier report; `compare.ts` makes it. */
import type { Verdict } from './criteria/criterion.js';

export interface DifferenceRow {
  readonly figure: string;
  readonly unit: 'ms' | 'mb' | 'kb' | 'percent';
  /** Medians; for shares and slopes the figures themselves. */
  readonly earlier: number | null;
  readonly here: number | null;
  /** Here less earlier, with its 95 % interval; null where there are too few values. */
  readonly difference: number | null;
  readonly low: number | null;
  readonly high: number | null;
  /** Allowed increase; null where nothing is judged. */
  readonly allowed: number | null;
}

export interface Comparison {
  readonly earlier: {
    readonly started_at: string;
    readonly verdict: Verdict;
    readonly cores: number;
    readonly total_mb: number;
    readonly profile: string;
    readonly model: string | null;
    readonly inputs_sha256: string;
  };
  /** In what the two runs differ beside their figures; empty if in nothing. */
  readonly differs_in: readonly string[];
  readonly rows: readonly DifferenceRow[];
}
