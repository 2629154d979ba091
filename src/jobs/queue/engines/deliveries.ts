/** Something for a machine to do. `shard`: its number; -1 for the planning and the manifest of a job. */
export interface Task {
  readonly job: string;
  readonly kind: 'plan' | 'shard' | 'finish';
  readonly shard: number;
}

/** A task that a machine of ours was given. */
export interface Delivery {
  readonly task: Task;
  /** Attempts that failed before this one. */
  readonly failedAttempts: number;
  /** Machines that were lost while they had it. */
  readonly lostMachines: number;
  /** Of the last of both. */
  readonly reason: string | null;
}

export interface TaskState {
  readonly state: 'waiting' | 'running';
  /** Those that ended with their machine among them. */
  readonly failedAttempts: number;
  readonly reason: string | null;
  readonly server: string | null;
}

/**
 * Gives each task to one machine at a time. What was given is a machine's own until its lock ends, which {@link renew} prevents.
 * Every method throws if the engine does not answer; it may be asked again then.
 */
export interface Deliveries {
  start(): Promise<void>;
  /** Puts tasks in, in their order; those that are there stay as they are. */
  offer(tasks: readonly Task[]): Promise<void>;
  takeStep(): Promise<Delivery | undefined>;
  takeShard(job: string): Promise<Delivery | undefined>;
  /** Keeps the locks. @returns deliveries whose lock was lost */
  renew(held: readonly Delivery[]): Promise<readonly Delivery[]>;
  /** The task is through, and forgotten. */
  settle(delivery: Delivery): Promise<void>;
  /** The attempt failed; the next one may begin after the pause. */
  failed(delivery: Delivery, reason: string, pauseMs: number): Promise<void>;
  /** The task waits again, as if it had not been given. @param pauseMs it is not given out before; 0: at once */
  putBack(delivery: Delivery, pauseMs?: number): Promise<void>;
  /** Gives out again what lost machines had of these jobs, and counts that. */
  recover(jobs: readonly string[]): Promise<void>;
  /** How many shards of a job machines have now. */
  running(job: string): Promise<number>;
  /** Numbers of the shards that machines have now. */
  runningShards(job: string): Promise<readonly number[]>;
  /** What is known of shards that are not through, by their number. */
  look(job: string, shards: readonly number[]): Promise<ReadonlyMap<number, TaskState>>;
  /** Forgets every task of a job. */
  drop(job: string): Promise<void>;
  stop(): Promise<void>;
}
