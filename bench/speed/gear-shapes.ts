/** Batches whose runs are timed in each gear: items and tokens of each. */
export const SHAPES = [
  [1, 16],
  [1, 256],
  [8, 32],
] as const;

export interface GearReport {
  /** CPU time of opening. */
  readonly openMs: number;
  /** CPU time of a run, by its shape. */
  readonly runMs: Readonly<Record<string, number>>;
  /** Private memory that it holds after its runs. */
  readonly privateMb: number;
}
