/** What a pool is given, and what it shows. */

/** Limits of a pool; times in milliseconds. */
export interface PoolLimits {
  readonly min: number;
  readonly max: number;
  /** Longest wait for a connection. */
  readonly waitMs: number;
  /** An idle connection above the minimum closes after this. */
  readonly idleMs: number;
  /** A connection of this age is replaced when it is released, or while it is idle. */
  readonly lifetimeMs: number;
  /** A connection that was idle for this long is checked before it is handed out. */
  readonly checkAfterIdleMs: number;
}

/** How a pool opens, checks and closes its connections. */
export interface Connector<C> {
  open(): Promise<C>;
  close(connection: C): Promise<void>;
  /** Health check at checkout after {@link PoolLimits.checkAfterIdleMs}; a rejection counts as `false`. */
  check(connection: C): Promise<boolean>;
  /** `false` once the connection broke. */
  isUsable(connection: C): boolean;
}

export interface PoolFigures {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly open: number;
  readonly idle: number;
  readonly inUse: number;
  readonly waiting: number;
  /** Since the start: */
  readonly opened: number;
  /** Closed for their age. */
  readonly recycled: number;
  /** Discarded because they broke, failed their check, or led to a server that is not the primary. */
  readonly broken: number;
  readonly checkouts: number;
  readonly timeouts: number;
  /** All waits together. */
  readonly waitSeconds: number;
  readonly waitMsMean: number;
  readonly waitMsMax: number;
}

/** What is shown of a pool, and what a cleanup does with it. */
export interface NamedPool {
  readonly figures: PoolFigures;
  /** Closes idle connections down to the minimum. @returns how many, once they are closed. */
  shrink(): Promise<number>;
}

/** A connection that is checked out; a second release does nothing. */
export interface Lease<C> {
  readonly connection: C;
  release(): void;
}
