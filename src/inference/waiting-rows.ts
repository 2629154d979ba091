import { Heap } from './heap.js';
import { Line, type Place } from './line.js';

/** One input that waits. */
export interface WaitingRow {
  readonly model: string;
  readonly user: string;
  /** Characters of it that the model can take in: a guess at what it costs to run. */
  readonly size: number;
  /** It runs in a batch of its own: batches that it was in have ended their workers. */
  readonly alone?: boolean;
  /** Rows with the same key are the same text for the same model: one result is good for all. */
  readonly key?: string | undefined;
}

/**
 * Virtual time, in characters served: who was served least is next. One who comes (back) begins at
 * the time of the one served last, so that nobody saves up a claim while away, and nobody who comes
 * later is put before those who wait.
 * Start-time fair queueing: P. Goyal, H. Vin, H. Cheng, IEEE/ACM Transactions on Networking 5 (1997).
 */
interface Claim {
  virtualTime: number;
  /** Settles ties: who began to wait first. */
  since: number;
}

interface Lane<R> extends Claim {
  readonly model: string;
  readonly line: Line<R>;
}

interface User<R> extends Claim {
  readonly name: string;
  readonly lanes: Map<string, Lane<R>>;
  /** Virtual time among its models. */
  laneTime: number;
  count: number;
  /** The one of its turns in the heap that counts; others are passed over. */
  turn: Turn<R> | undefined;
}

interface ModelRows<R> {
  /** By {@link lengthClass}; rows that run alone are in none. */
  readonly byLength: Map<number, Line<R>>;
  count: number;
  size: number;
}

interface Entry<R> {
  readonly lane: Place<R>;
  readonly length: Place<R>;
}

/** What a user was at when it was put into the heap: claims grow meanwhile, and are then put in anew. */
interface Turn<R> extends Readonly<Claim> {
  readonly user: User<R>;
}

/** Texts of up to this many characters (about 32 tokens) cost the same: a call's fixed part outweighs them. */
const SHORT_SIZE = 192;
const CLASSES_PER_DOUBLING = 4;

/** Lengths of one class differ by less than a fifth; all short ones are alike. */
export function lengthClass(size: number): number {
  return Math.floor(CLASSES_PER_DOUBLING * Math.log2(Math.max(size, SHORT_SIZE) / SHORT_SIZE));
}

/**
 * The inputs that wait, and whose turn it is. Plain state: no clock, no process, no promise. Coming,
 * leaving and being taken cost O(log users), however many rows wait.
 */
export class WaitingRows<R extends WaitingRow> {
  readonly #entries = new Map<R, Entry<R>>();
  readonly #users = new Map<string, User<R>>();
  readonly #models = new Map<string, ModelRows<R>>();
  /** By key; most have one row, and need no set. */
  readonly #same = new Map<string, R | Set<R>>();
  readonly #turns = new Heap<Turn<R>>(isBefore);
  #virtualTime = 0;
  #activeUsers = 0;
  #arrivals = 0;

  get size(): number {
    return this.#entries.size;
  }

  /** Models that somebody waits for. */
  get models(): Iterable<string> {
    return this.#models.keys();
  }

  /** Users who have something waiting. */
  get activeUsers(): number {
    return this.#activeUsers;
  }

  has(row: R): boolean {
    return this.#entries.has(row);
  }

  /** Whether a row of that key waits. */
  hasKey(key: string): boolean {
    return this.#same.has(key);
  }

  countOf(model: string): number {
    return this.#models.get(model)?.count ?? 0;
  }

  /** Characters that wait for the model. */
  sizeOf(model: string): number {
    return this.#models.get(model)?.size ?? 0;
  }

  countOfUser(user: string): number {
    return this.#users.get(user)?.count ?? 0;
  }

  /** A row comes: it is the last of its user and model. */
  add(row: R): void {
    this.#enter(row, 'push');
  }

  /** A row comes back that was taken: to the front, and what its user was charged is returned. */
  putBack(row: R): void {
    const lane = this.#enter(row, 'unshift');
    lane.virtualTime = Math.max(0, lane.virtualTime - row.size);
    const user = this.#users.get(row.user);
    if (user === undefined) return;
    user.virtualTime = Math.max(0, user.virtualTime - row.size);
    this.#queueTurn(user);
  }

  /** A row comes back that left with another of its key: to the front; nobody was charged for it. */
  restore(row: R): void {
    this.#enter(row, 'unshift');
  }

  /** A row leaves, whether it waits or not. */
  remove(row: R): void {
    const entry = this.#entries.get(row);
    const user = this.#users.get(row.user);
    const model = this.#models.get(row.model);
    if (entry === undefined || user === undefined || model === undefined) return;
    this.#entries.delete(row);
    this.#leaveSame(row);
    entry.lane.item = undefined;
    entry.length.item = undefined;
    user.count -= 1;
    if (user.count === 0) this.#activeUsers -= 1;
    user.lanes.get(row.model)?.line.left();
    if (row.alone !== true) this.#leaveLength(model, row);
    model.count -= 1;
    model.size -= row.size;
    if (model.count === 0) this.#models.delete(row.model);
  }

  /** A row is taken to run: its user pays for it. */
  take(row: R): void {
    const user = this.#users.get(row.user);
    const lane = user?.lanes.get(row.model);
    if (user === undefined || lane === undefined || !this.has(row)) return;
    this.remove(row);
    user.virtualTime += row.size;
    lane.virtualTime += row.size;
  }

  /** Takes out the other rows of that row's key, whoever wants them: they get its result. */
  takeSame(row: R): readonly R[] {
    const same = row.key === undefined ? undefined : this.#same.get(row.key);
    if (same === undefined) return [];
    const others = same instanceof Set ? [...same] : [same];
    for (const other of others) this.remove(other);
    return others;
  }

  /**
   * The row whose turn it is: the first of the user who was served least, and of its models the one
   * that was served least.
   *
   * @param isHeld models that cannot run now; their rows keep their claim.
   */
  next(isHeld: (model: string) => boolean): R | undefined {
    const passed: User<R>[] = [];
    let found: R | undefined;
    for (let turn = this.#turns.pop(); turn !== undefined; turn = this.#turns.pop()) {
      const { user } = turn;
      if (user.turn !== turn) continue;
      if (turn.virtualTime !== user.virtualTime || turn.since !== user.since) {
        this.#queueTurn(user);
        continue;
      }
      if (user.count === 0) {
        // All others are ahead of it, so nobody gains when it is forgotten and time moves there.
        this.#users.delete(user.name);
        this.#virtualTime = Math.max(this.#virtualTime, user.virtualTime);
        continue;
      }
      passed.push(user);
      found = this.#firstOf(user, isHeld);
      // Whose models are all held saves up no claim meanwhile.
      user.virtualTime = Math.max(user.virtualTime, this.#virtualTime);
      if (found === undefined) continue;
      this.#virtualTime = user.virtualTime;
      break;
    }
    for (const user of passed) this.#queueTurn(user);
    return found;
  }

  /** Rows of the model near to that size, the nearest class first, within a factor of two. */
  *alike(model: string, size: number): Generator<R> {
    const byLength = this.#models.get(model)?.byLength;
    if (byLength === undefined) return;
    const own = lengthClass(size);
    for (let away = 0; away <= CLASSES_PER_DOUBLING; away += 1) {
      yield* byLength.get(own - away) ?? [];
      if (away > 0) yield* byLength.get(own + away) ?? [];
    }
  }

  #firstOf(user: User<R>, isHeld: (model: string) => boolean): R | undefined {
    let best: Lane<R> | undefined;
    for (const lane of user.lanes.values()) {
      if (lane.line.size === 0) {
        if (lane.virtualTime <= user.laneTime) user.lanes.delete(lane.model);
      } else if (isHeld(lane.model)) {
        lane.virtualTime = Math.max(lane.virtualTime, user.laneTime);
      } else if (best === undefined || isBefore(lane, best)) best = lane;
    }
    if (best === undefined) return undefined;
    user.laneTime = Math.max(user.laneTime, best.virtualTime);
    return best.line.first();
  }

  #enter(row: R, how: 'push' | 'unshift'): Lane<R> {
    this.#arrivals += 1;
    const user = this.#userOf(row.user);
    const lane = this.#laneOf(user, row.model);
    const model = this.#models.get(row.model) ?? { byLength: new Map(), count: 0, size: 0 };
    this.#models.set(row.model, model);
    const entry = { lane: { item: row }, length: { item: row } };
    this.#entries.set(row, entry);
    this.#enterSame(row);
    lane.line[how](entry.lane);
    if (row.alone !== true) {
      const key = lengthClass(row.size);
      const line = model.byLength.get(key) ?? new Line<R>();
      model.byLength.set(key, line);
      line[how](entry.length);
    }
    if (user.count === 0) this.#activeUsers += 1;
    user.count += 1;
    model.count += 1;
    model.size += row.size;
    return lane;
  }

  #enterSame(row: R): void {
    if (row.key === undefined) return;
    const same = this.#same.get(row.key);
    if (same === undefined) this.#same.set(row.key, row);
    else if (same instanceof Set) same.add(row);
    else this.#same.set(row.key, new Set([same, row]));
  }

  #leaveSame(row: R): void {
    if (row.key === undefined) return;
    const same = this.#same.get(row.key);
    if (same instanceof Set) same.delete(row);
    if (same === row || (same instanceof Set && same.size === 0)) this.#same.delete(row.key);
  }

  #userOf(name: string): User<R> {
    const known = this.#users.get(name);
    if (known !== undefined) {
      if (known.count === 0) this.#claimAnew(known, this.#virtualTime);
      return known;
    }
    const claim = { virtualTime: this.#virtualTime, since: this.#arrivals };
    const user: User<R> = {
      name,
      lanes: new Map(),
      laneTime: 0,
      count: 0,
      turn: undefined,
      ...claim,
    };
    this.#users.set(name, user);
    this.#queueTurn(user);
    return user;
  }

  #laneOf(user: User<R>, model: string): Lane<R> {
    const known = user.lanes.get(model);
    if (known !== undefined) {
      if (known.line.size === 0) this.#claimAnew(known, user.laneTime);
      return known;
    }
    const line = new Line<R>();
    const lane = { model, line, virtualTime: user.laneTime, since: this.#arrivals };
    user.lanes.set(model, lane);
    return lane;
  }

  #claimAnew(claim: Claim, now: number): void {
    claim.virtualTime = Math.max(claim.virtualTime, now);
    claim.since = this.#arrivals;
  }

  #queueTurn(user: User<R>): void {
    user.turn = { user, virtualTime: user.virtualTime, since: user.since };
    this.#turns.push(user.turn);
  }

  #leaveLength(model: ModelRows<R>, row: R): void {
    const key = lengthClass(row.size);
    const line = model.byLength.get(key);
    line?.left();
    if (line?.size === 0) model.byLength.delete(key);
  }
}

function isBefore(a: Claim, b: Claim): boolean {
  return a.virtualTime < b.virtualTime || (a.virtualTime === b.virtualTime && a.since < b.since);
}
