/** Every number that decides a criterion, in one table, each with its reason. */
export const THRESHOLDS = {
  /** A tenth of the reference run's average of 0.84 s. */
  responseMs: 84,
  /**
   * CPU time that other programs take before times say nothing: they then wait for each other. An idle
   * machine shows below 5 %, a second load test on 2 cores about 40 %.
   */
  othersCpuPercent: 15,
  /** R. B. Miller, "Response time in man-computer conversational transactions" (1968): 0.1 s seems instantaneous. */
  noticeableMs: 100,
  /** Memory at rest differs by some percent from run to run of the same code. */
  regressionPercent: 10,
  regressionMb: 4,
  /** A tenth of the reference run's 6 s for each cleanup. */
  cleanupMs: 600,
  /**
   * Sessions left after the warm-up. The reference run claimed "no leak" from four points. With 24, warming
   * up (below) can pass for a leak of 213 KB a session, which leaves room to find one of 256 KB.
   */
  leakSessions: 24,
  /** The first sessions are left out of the trend, this share and at least so many: heaps and pools grow to their size of work once. */
  warmUpShare: 0.2,
  warmUpSessions: 3,
  /** The usual level; what keeps false alarms away is that the interval must lie above the claim below. */
  leakP: 0.05,
  /**
   * What warming up may still add after the sessions that were left out. In 25 clean runs of 30 to 600
   * sessions heaps and allocators grew by up to 4 MB and then stopped, while a leak goes on. Spread over the
   * judged sessions this is the smallest leak that is claimed: 5 MB ÷ 48 sessions = 107 KB a session.
   */
  warmUpGrowthMb: 5,
  /** The smallest leak that is claimed however long the run is: one page of memory a session. */
  leakFloorKb: 4,
  /** A run that would overlook a leak of this size cannot tell. */
  leakResolutionKb: 256,
  /** The chance to find a leak, from which its smallest findable size is computed. */
  leakPower: 0.8,
  /** A session that took less private memory than this has nothing to give back that readings could show. */
  takenMb: 4,
  /** Less than this share of what was taken counts as "freed nothing". */
  returnedPercent: 10,
} as const;
