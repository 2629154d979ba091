/** The outcome of one claim. */
export type Held = true | false | 'cannot tell';

export interface Criterion {
  readonly id: string;
  readonly claim: string;
  readonly how_tested: string;
  readonly threshold: string;
  /** The finding, in words and figures. */
  readonly value: string;
  readonly held: Held;
  /** Whether the verdict may pass although it cannot be told. */
  readonly may_stay_open: boolean;
}

export type Verdict = 'passed' | 'failed';
