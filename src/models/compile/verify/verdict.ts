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
}

/** The verdict on a model that has fp32 alone to serve, and why. */
export function referenceVerdict(bounds: Bounds, reason: string): Verdict {
  const none = { candidates: [], ms: 0, atMs: Date.now() };
  return { form: 'fp32', serves: 'reference', reason, bounds, ...none };
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
const isVerdict = shapeOf<Verdict>({
  ...{ form: isText, serves: isOneOf(['fast', 'reference']), reason: isText, bounds: areBounds },
  ...{ candidates: isList(isCandidate), ms: isNumber, atMs: isNumber },
  ...{ plan: orMissing(isPlan), digest: orMissing(isText) },
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
