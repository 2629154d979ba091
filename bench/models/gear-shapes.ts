/** Batches that are timed in each gear, as items × tokens of each. */
export const SHAPES = [
  [1, 16],
  [1, 256],
  [8, 32],
] as const;

export interface GearReport {
  /** CPU time of opening, in ms. */
  readonly openMs: number;
  /** CPU time of a run in ms, by its shape. */
  readonly runMs: Readonly<Record<string, number>>;
  /** Private memory held after the runs. */
  readonly privateMb: number;
}
