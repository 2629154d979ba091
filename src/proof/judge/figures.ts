/**
 * Every figure that a report may quote, as it stands in `report.json`.
 *
 * Names end in their unit: `_ms` milliseconds, `_mb` MB of 2^20 bytes, `_kb` KB of 2^10 bytes,
 * `_percent` of 100, `_per_s` for each second. `null` means that it could not be measured.
 */
import type { Disturbance } from '../play/run.js';
import type { Description } from '../statistics.js';

export interface SessionFigures {
  readonly session: number;
  readonly id: string | null;
  readonly state: string;
  readonly problem: string | null;
  /** From opening the session to the last user's last reply. */
  readonly play_ms: number;
  /** The request that ends the session, from sending to the reply with the receipt. */
  readonly end_request_ms: number | null;
  /** What the receipt says the cleanup took. */
  readonly receipt_ms: number | null;
  readonly users: number;
  readonly users_successful: number;
  readonly users_failed: number;
  readonly users_unfinished: number;
  readonly requests: number;
  readonly requests_ok: number;
  readonly requests_failed: number;
  readonly requests_from_cache: number;
  readonly requests_per_s: number | null;
  /** Of the successful requests, in ms. */
  readonly response: Description | null;
  readonly models: readonly string[];
  /** Models of this session that some worker still held after its end, as `id (state)`. */
  readonly models_still_loaded: readonly string[] | null;
  /** Private memory of all processes: before the session, its highest, before and after the cleanup. */
  readonly private_before_mb: number | null;
  readonly private_highest_mb: number | null;
  readonly private_before_cleanup_mb: number | null;
  readonly private_after_mb: number | null;
  /** Users since the last recycle, as read after the cleanup. */
  readonly users_since_recycle: number | null;
  /** Highest less before: what the session took. */
  readonly taken_mb: number | null;
  /** Highest less after: what had come back when its cleanup was done. */
  readonly returned_mb: number | null;
  /** The same of the workers alone; the first reports of this schema lack it. */
  readonly workers_taken_mb?: number | null;
  readonly workers_returned_mb?: number | null;
  readonly workers_returned_percent?: number | null;
  /** Workers were being replaced at one of these readings. */
  readonly recycled_meanwhile: boolean;
  /** Returned ÷ taken; null when the session took too little, workers were being replaced, or others at work. */
  readonly returned_percent: number | null;
  /** What was done to the server meanwhile. */
  readonly disturbance: Disturbance | null;
  /** Sessions of other callers at work when this one ended; the first reports of this schema lack it. */
  readonly other_sessions?: number;
  /** From the receipt. */
  readonly freed_mb: number | null;
  readonly freed_private_mb: number | null;
  /** Whether the receipt has both its before and its after. */
  readonly receipt_complete: boolean;
}

export interface LoadFigures {
  readonly sessions_planned: number;
  readonly sessions_played: number;
  readonly users_planned: number;
  readonly users_played: number;
  readonly users_successful: number;
  readonly users_failed: number;
  readonly users_unfinished: number;
  readonly users_successful_percent: number | null;
  readonly requests_planned: number;
  readonly requests_sent: number;
  readonly requests_ok: number;
  readonly requests_failed: number;
  readonly distinct_texts: number;
  /** Requests with a text that an earlier request of this run had sent. */
  readonly repeats: number;
  readonly answered_by: readonly { readonly tier: string; readonly requests: number }[];
  readonly failures: readonly { readonly code: string; readonly requests: number }[];
  readonly duration_ms: number;
  /** Successful requests for each second of play, cleanups left out. */
  readonly requests_per_s: number | null;
  /** Of the successful requests, from when each was due: in a closed loop that is when it was sent. */
  readonly response: Description | null;
  readonly omission: OmissionFigures;
  /** Durations of the sessions' play. */
  readonly session_play: Description | null;
}

/**
 * What coordinated omission hides. A closed loop sends nothing while it waits, so a stall is measured once,
 * not by all who would have come meanwhile: those are added as if each user sent at even distances. An open
 * loop counts from when a request was due and needs no correction; beside it stands the time from sending.
 */
export interface OmissionFigures {
  /** Median response: the distance at which a user would have sent. Null in an open loop. */
  readonly expected_interval_ms: number | null;
  readonly corrected: Description | null;
  readonly from_sending: Description | null;
}

/** Answers to labelled texts, each text counted once (its first answer). */
export interface LabelFigures {
  readonly labelled: number;
  readonly correct: number;
  readonly accuracy_percent: number;
  /** 95 % Wilson interval. */
  readonly low_percent: number;
  readonly high_percent: number;
}

export interface CleanupFigures {
  /** Sessions that were opened, so that a cleanup was due. */
  readonly due: number;
  readonly executed: number;
  readonly complete: number;
  readonly duration: Description | null;
  readonly end_request: Description | null;
  /** Standard deviation of the duration ÷ its mean. */
  readonly duration_variation_percent: number | null;
  readonly freed: Description | null;
  readonly freed_private: Description | null;
  /** Sessions whose receipt shows no private memory freed (0 MB or less). */
  readonly freed_nothing: readonly number[];
  readonly judged_sessions: number;
  readonly returned_median_percent: number | null;
  readonly returned_worst_percent: number | null;
  readonly returned_worst_session: number | null;
}

/** Each user's first request after a cleanup against those in the middle of the sessions, all sent at once. */
export interface SpeedFigures {
  readonly after_cleanup: Description | null;
  readonly others: Description | null;
  /** Mann–Whitney; null when there are too few of either. */
  readonly shift_ms: number | null;
  /** 95 % interval of the shift. */
  readonly low_ms: number | null;
  readonly high_ms: number | null;
  readonly p: number | null;
}

/** One kind of memory over all readings of the run. */
export interface UsageFigures {
  readonly readings: number;
  readonly first_mb: number;
  readonly last_mb: number;
  readonly min_mb: number;
  readonly max_mb: number;
  readonly range_mb: number;
  readonly mean_mb: number;
  readonly sd_mb: number;
  /** Standard deviation ÷ mean. */
  readonly variation_percent: number;
  /** Mean, lowest and highest ÷ the machine's total. */
  readonly share_percent: number;
  readonly min_share_percent: number;
  readonly max_share_percent: number;
}

export interface MemoryFigures {
  readonly total_mb: number | null;
  readonly load_line_mb: number | null;
  /** Highest reading ÷ load line. */
  readonly used_of_line_percent: number | null;
  readonly readings: number;
  readonly readings_missed: number;
  readonly used: UsageFigures | null;
  readonly private: UsageFigures | null;
  /** Readings at each pressure. */
  readonly pressure: readonly { readonly level: string; readonly readings: number }[];
}

/** Trend of private memory after the cleanups over a stretch of sessions, warm-up left out. */
export interface TrendFigures {
  /** The stretch, from session to session, both counted from 1; 0 when there is no reading. */
  readonly first_session: number;
  readonly last_session: number;
  /** Sessions of the stretch with a reading after their cleanup. */
  readonly sessions: number;
  readonly warm_up_sessions: number;
  readonly judged_sessions: number;
  readonly slope_kb: number | null;
  readonly low_kb: number | null;
  readonly high_kb: number | null;
  /** Variance against that of independent readings (Yue and Wang); in the interval and in p already. */
  readonly serial_factor: number;
  readonly mann_kendall_s: number | null;
  readonly mann_kendall_p: number | null;
  /** Slope × judged sessions. */
  readonly growth_mb: number | null;
  /** A leak is claimed only when the whole interval lies above this. */
  readonly claimed_above_kb: number | null;
  /** The smallest leak that would have been claimed with a chance of 80 %. */
  readonly findable_kb: number | null;
  /** The same over the later half of the judged sessions: a leak goes on, warming up levels off. */
  readonly late_sessions: number;
  readonly late_slope_kb: number | null;
  readonly late_low_kb: number | null;
  readonly late_high_kb: number | null;
}

/** How far a ramp came. */
export interface RampFigures {
  /** Most users of a session in which all were served. */
  readonly served_users: number;
  /** Users of the session in which the first request failed; null when none did. */
  readonly refused_users: number | null;
  /** Failures that are no refusals. */
  readonly unclean: readonly string[];
  /** The session after that; null when it was not played. */
  readonly recovery_users: number | null;
  readonly recovery_served: number;
}

export type FeatureState =
  | 'active'
  | 'not exercised in this run'
  | 'not present in this server'
  | 'unknown: the counters could not be read';

export interface FeatureFigures {
  readonly feature: string;
  readonly state: FeatureState;
  /** The counts in words. */
  readonly seen: string;
  readonly counters: readonly {
    readonly counter: string;
    readonly labels: string;
    readonly count: number;
  }[];
}

export interface Figures {
  /** CPU time of the machine that neither the server nor the proof took; null where it is not known. */
  readonly others_cpu_percent: number | null;
  readonly load: LoadFigures;
  readonly labels: LabelFigures | null;
  readonly sessions: readonly SessionFigures[];
  readonly cleanup: CleanupFigures;
  readonly speed: SpeedFigures;
  readonly memory: MemoryFigures;
  readonly trend: TrendFigures;
  /** The longest stretch without a recycle, where there was one and it is long enough to tell. */
  readonly trend_between_recycles: TrendFigures | null;
  /** Null in other profiles. */
  readonly ramp: RampFigures | null;
  readonly features: readonly FeatureFigures[];
}
