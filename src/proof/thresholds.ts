/** Every number that decides a criterion, in one table, each with its reason. */
export const THRESHOLDS = {
  /** A tenth of the reference run's average of 0.84 s. */
  responseMs: 84,
  /** A tenth of the reference run's 6 s for each cleanup. */
  cleanupMs: 600,
  /** The reference run claimed "no leak" from four points; with fewer than ten an interval is too wide to say anything. */
  leakSessions: 10,
  /** Share of the first sessions left out of the trend: heaps and pools grow to their size of work once. */
  warmUpShare: 0.2,
  /** Strict, because readings that follow each other are alike, which makes p smaller than it should be. */
  leakP: 0.01,
  /** Growth below this over all judged sessions is within what one garbage collection moves. */
  leakGrowthMb: 1,
  /** When the interval reaches further than this, the readings are too scattered to exclude a leak worth the name. */
  leakResolutionKb: 1024,
  /** A session that took less private memory than this has nothing to give back that readings could show. */
  takenMb: 4,
  /** Less than this share of what was taken counts as "freed nothing". */
  returnedPercent: 1,
} as const;
