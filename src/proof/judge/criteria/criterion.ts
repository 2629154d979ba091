/** One claim and what became of it. */
export type Held = true | false | 'cannot tell';

export interface Criterion {
  readonly id: string;
  readonly claim: string;
  readonly how_tested: string;
  readonly threshold: string;
  /** What was found, in words and figures. */
  readonly value: string;
  readonly held: Held;
  /** Whether leaving it open lets the verdict pass. */
  readonly may_stay_open: boolean;
}

export type Verdict = 'passed' | 'failed';
