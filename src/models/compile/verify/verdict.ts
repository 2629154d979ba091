/** What was found when the fast forms of a model were compared with its fp32 form. Kept beside the mapped form. */
import {
  isList,
  isNumber,
  isOneOf,
  isText,
  orMissing,
  shapeOf,
} from '../../../contract/schema/shape.js';
import type { Bounds } from '../../intake/verification.js';
import type { ServingPlan } from '../../run/serving-plan.js';
import { isPlan } from '../forms/findings.js';

/** How a form answers, against fp32 on the same rows. */
export interface Agreement {
  readonly rows: number;
  /** Share of rows with the same label, in percent. */
  readonly labels: number;
  /** Rows whose label differs though fp32 was further than `Bounds.shift` from another label. */
  readonly clearFlips: number;
  /** Rows whose label differs and whose fp32 score was within `Bounds.shift` of another label. */
  readonly nearFlips: number;
  /** Largest difference of a score from fp32. */
  readonly shift: number;
  /** Largest difference of a row's score between alone and among neighbours. */
  readonly neighbours: number;
}

/** CPU time of fp32 ÷ that of the form. */
export interface Speed {
  readonly oneRow: number;
  readonly batch: number;
}

const OUTCOMES = ['used', 'verified', 'refused', 'not tried'] as const;
export type Outcome = (typeof OUTCOMES)[number];

export interface CandidateVerdict {
  readonly form: string;
  readonly outcome: Outcome;
  readonly reason: string;
  readonly speed?: Speed;
  readonly agreement?: Agreement;
}

export interface Verdict {
  /** The form that serves: `fp32`, or one of the candidates. */
  readonly form: string;
  /** Where it lies: the fast form beside the fp32 form, or the fp32 form itself. */
  readonly serves: 'fast' | 'reference';
  readonly reason: string;
  readonly bounds: Bounds;
  readonly candidates: readonly CandidateVerdict[];
  /** Time that the comparison took. */
  readonly ms: number;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /** How the fast form is fed and read. */
  readonly plan?: ServingPlan;
  /** SHA-256 over what the fast form was made from, beside the fp32 form's files. */
  readonly digest?: string;
  /** Set where fp32 serves as the comparison did not come to its end: then it is made again. */
  readonly again?: Unfinished;
}

/** A comparison that ended early: its time was used up, or its process ended. */
export interface Unfinished {
  /** The time that it had. */
  readonly budgetMs: number;
  /** How many such attempts there were, this one too. */
  readonly attempts: number;
}

/** Pause after the first attempt; four times as long after each further one. */
const FIRST_PAUSE_MS = 10 * 60_000;
const LONGEST_PAUSE_MS = 7 * 24 * 3_600_000;

/**
 * Whether a comparison that ended early is worth another attempt.
 *
 * 1. It has another time now.
 * 2. The pause since the last attempt is over: the machine may have had other work then.
 */
export function isDueAgain({ again, atMs }: Verdict, budgetMs: number, nowMs: number): boolean {
  if (again === undefined) return false;
  if (again.budgetMs !== budgetMs) return true; // 1
  const pauseMs = FIRST_PAUSE_MS * 4 ** Math.max(0, again.attempts - 1);
  // A clock that was set back must not keep it for ever.
  return nowMs < atMs || nowMs - atMs >= Math.min(LONGEST_PAUSE_MS, pauseMs); // 2
}

/** The verdict on a model that has fp32 alone to serve, and why. */
export function referenceVerdict(bounds: Bounds, reason: string): Verdict {
  const none = { candidates: [], ms: 0, atMs: Date.now() };
  return { form: 'fp32', serves: 'reference', reason, bounds, ...none };
}

/** fp32 serves as the comparison did not come to its end. */
export function unfinishedVerdict(bounds: Bounds, reason: string, budgetMs: number): Verdict {
  return { ...referenceVerdict(bounds, reason), again: { budgetMs, attempts: 1 } };
}

/** A verdict after an earlier one on the same files: attempts that ended early are counted on. */
export function after(earlier: Verdict | undefined, verdict: Verdict): Verdict {
  if (verdict.again === undefined || earlier?.again === undefined) return verdict;
  const isSame = earlier.again.budgetMs === verdict.again.budgetMs;
  const attempts = isSame ? earlier.again.attempts + 1 : 1;
  return { ...verdict, again: { ...verdict.again, attempts } };
}

/** The same model after live inputs have disagreed: back to fp32. */
export function revoked(verdict: Verdict, reason: string): Verdict {
  const { plan: _plan, digest: _digest, ...rest } = verdict;
  const candidates = verdict.candidates.map((candidate): CandidateVerdict => {
    return candidate.outcome === 'used' ? { ...candidate, outcome: 'refused', reason } : candidate;
  });
  return { ...rest, form: 'fp32', serves: 'reference', reason, candidates, atMs: Date.now() };
}

const areBounds = shapeOf<Bounds>({ ...{ labels: isNumber, shift: isNumber, speedup: isNumber } });
const isAgreement = shapeOf<Agreement>({
  ...{ rows: isNumber, labels: isNumber, clearFlips: isNumber, nearFlips: isNumber },
  ...{ shift: isMeasure, neighbours: isMeasure },
});
const isSpeed = shapeOf<Speed>({ oneRow: isMeasure, batch: isMeasure });
const isCandidate = shapeOf<CandidateVerdict>({
  ...{ form: isText, outcome: isOneOf(OUTCOMES), reason: isText },
  ...{ speed: orMissing(isSpeed), agreement: orMissing(isAgreement) },
});
const isUnfinished = shapeOf<Unfinished>({ ...{ budgetMs: isNumber, attempts: isNumber } });
const isVerdict = shapeOf<Verdict>({
  ...{ form: isText, serves: isOneOf(['fast', 'reference']), reason: isText, bounds: areBounds },
  ...{ candidates: isList(isCandidate), ms: isNumber, atMs: isNumber },
  ...{ plan: orMissing(isPlan), digest: orMissing(isText), again: orMissing(isUnfinished) },
});

/** JSON has no infinite numbers: what differs without bound is written as null. */
function isMeasure(value: unknown): boolean {
  return value === null || isNumber(value);
}

/** A stored verdict; undefined if it is none, or one of another version. A fast form needs its plan. */
export function asVerdict(value: unknown): Verdict | undefined {
  if (!isVerdict(value)) return undefined;
  return value.serves === 'fast' && value.plan === undefined ? undefined : value;
}

/** One line for people: the form that serves, and why. */
export function verdictLine({ form, reason, candidates }: Verdict): string {
  const refused = candidates
    .filter(({ outcome }) => outcome === 'refused')
    .map((of) => `${of.form} is not used: ${of.reason}`);
  return [`${form} serves: ${reason}`, ...refused].join('; ').slice(0, 1000);
}
