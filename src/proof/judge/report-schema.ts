/** The shape of `report.json`, schema `plimsoll-proof/1`. */

import type { Plan, ProfileName } from '../play/plan.js';
import type { Receipt } from '../replies.js';
import type { Comparison } from './comparison.js';
import type { Criterion, Verdict } from './criteria/criterion.js';
import type { Figures } from './figures.js';
import type { ComparisonRow, REFERENCE } from './reference.js';

export const REPORT_SCHEMA = 'plimsoll-proof/1';

export type Cell = string | number | boolean | null;

/** Rows without their names, which stand once in `columns`. */
export interface Rows {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

/** Of a long run only one row of `one_of` is here; figures over all of them were counted before. */
export interface SampledRows extends Rows {
  readonly one_of: number;
}

/** `report.json`. Sizes in MB of 2^20 bytes, times in ms, `at_ms` and `start_ms` since the run began. */
export interface ProofReport {
  readonly schema: typeof REPORT_SCHEMA;
  readonly verdict: Verdict;
  readonly criteria: readonly Criterion[];
  /** The machine that ran the proof; `server_total_mb` and the load line are what the server says of its own. */
  readonly machine: {
    readonly cores: number;
    readonly total_mb: number;
    readonly node: string;
    readonly os: string;
    readonly server_total_mb: number | null;
    readonly load_line_mb: number | null;
  };
  readonly options: {
    readonly url: string;
    readonly model: string | null;
    readonly profile: ProfileName;
    /** Null: until the duration was over, or the server refused. */
    readonly sessions: number | null;
    readonly duration_ms: number | null;
    readonly users: number;
    readonly requests: number;
    /** Null: a closed loop. */
    readonly rate_per_s: number | null;
    readonly seed: number;
    readonly inputs: {
      readonly name: string;
      readonly sha256: string;
      readonly texts: number;
      readonly labelled: number;
    };
    readonly reading_interval_ms: number;
    readonly request_timeout_ms: number;
    readonly run_timeout_ms: number;
    readonly expected_accuracy: number | null;
  };
  readonly run: {
    readonly started_at: string;
    readonly duration_ms: number;
    readonly stopped: string | null;
  };
  readonly figures: Figures;
  /** The reference run's published figures. */
  readonly reference: typeof REFERENCE;
  readonly side_by_side: readonly ComparisonRow[];
  /** Beside an earlier report; null where none was given. */
  readonly comparison: Comparison | null;
  readonly charts: readonly {
    readonly file: string;
    readonly title: string;
    readonly session: number | null;
  }[];
  readonly receipts: readonly { readonly session: number; readonly receipt: Receipt }[];
  readonly readings: SampledRows;
  readonly requests: SampledRows;
}

/** The plan that a report was made by. */
export function planOf(options: ProofReport['options']): Plan {
  const { profile, sessions, users, requests } = options;
  const { duration_ms: durationMs, rate_per_s: ratePerS } = options;
  return { profile, sessions, durationMs, users, requests, ratePerS };
}
