import { Line, type Place } from './line.js';
import { ModelRows } from './model-rows.js';

/** A waiting input. */
export interface WaitingRow {
  readonly model: string;
  /** Which of the model's forms it runs on: rows of two never share a batch, as a batch runs on one. */
  readonly form?: string;
  readonly user: string;
  /** Characters up to what fits the model: an estimate of its cost. */
  readonly size: number;
  /** It must run in a batch of its own, because batches with it have failed. */
  readonly alone?: boolean;
  /** Rows with equal keys are the same text for the same model: one result serves all. */
  readonly key?: string | undefined;
}

/** One user's rows for one model. The least-served lane of a user is next, in characters; ties go to the older. */
interface Lane<R> {
  readonly model: string;
  readonly line: Line<R>;
  virtualTime: number;
  since: number;
}

interface User<R> {
  readonly name: string;
  readonly lanes: Map<string, Lane<R>>;
  /** Virtual time of its lanes. */
  laneTime: number;
  count: number;
  /** Characters that wait. */
  size: number;
  /** Characters that it may still have served; while negative it skips turns. */
  credit: number;
  /** Its place in a line of users, and when it joined. */
  place: Place<User<R>>;
  line: Line<User<R>>;
  since: number;
  /** Whether a newcomer was served before it since its last turn. */
  overtaken: boolean;
  /** The row of its last turn. */
  lastTurn: R | undefined;
}

interface Entry<R> {
  readonly lane: Place<R>;
  readonly length: Place<R>;
}

/** Characters of one turn by default: a batch. */
const DEFAULT_QUANTUM = 2048;

/**
 * The waiting inputs, and whose turn it is. Plain state without clock, process or promise. Adding, removing and
 * taking a row cost O(1), amortised, for any number of rows and users.
 *
 * Deficit round robin over users (M. Shreedhar, G. Varghese, SIGCOMM 1995). A new user joins at the end of the
 * round, and a user who had a turn goes to its end, so the wait of a row can be predicted on arrival. One
 * exception: a user who had a turn already lets one newcomer go first, so that beside a single flooding user a
 * newcomer does not wait for a batch of the flood.
 * Each turn is worth a quantum of characters. A user who was served more (by large rows, or rows that ran in
 * others' batches) skips turns until that is paid; a debt survives leaving for as many rounds.
 */
export class WaitingRows<R extends WaitingRow> {
  readonly #entries = new Map<R, Entry<R>>();
  readonly #users = new Map<string, User<R>>();
  readonly #models = new Map<string, ModelRows<R>>();
  /** By key; most keys have one row and need no set. */
  readonly #same = new Map<string, R | Set<R>>();
  /** Users who had no turn since they joined. */
  readonly #fresh = new Line<User<R>>();
  /** Users who had one, and users in debt. */
  readonly #served = new Line<User<R>>();
  readonly #quantum: number;
  #activeUsers = 0;
  #arrivals = 0;
  #joins = 0;

  constructor(quantum = DEFAULT_QUANTUM) {
    this.#quantum = quantum;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Models with waiting rows. */
  get models(): Iterable<string> {
    return this.#models.keys();
  }

  /** Users with waiting rows. */
  get activeUsers(): number {
    return this.#activeUsers;
  }

  has(row: R): boolean {
    return this.#entries.has(row);
  }

  /** Whether a row with that key waits. */
  hasKey(key: string): boolean {
    return this.#same.has(key);
  }

  countOf(model: string): number {
    return this.#models.get(model)?.count ?? 0;
  }

  /** Rows that wait for the model. Looks at every row. */
  rowsOf(model: string): readonly R[] {
    return [...this.#entries.keys()].filter((row) => row.model === model);
  }

  /** Characters that wait for the model. */
  sizeOf(model: string): number {
    return this.#models.get(model)?.size ?? 0;
  }

  /** Effective sizes that wait for the model, summed by octave of length; see {@link lengthOctave}. */
  octavesOf(model: string): readonly number[] {
    return this.#models.get(model)?.octaves ?? [];
  }

  countOfUser(user: string): number {
    return this.#users.get(user)?.count ?? 0;
  }

  /** Characters of one turn. */
  get quantum(): number {
    return this.#quantum;
  }

  /**
   * Turns until the last of these rows of the user is served, behind those that wait; at least one. A row is served
   * in the turn that makes its user's credit positive, however long it is.
   *
   * @param sizes of the rows, in characters
   */
  turnsFor(userName: string, sizes: readonly number[]): number {
    const user = this.#users.get(userName);
    const before = sizes.slice(0, -1).reduce((sum, size) => sum + size, 0);
    const paid = before + (user === undefined ? 0 : Math.max(0, -user.credit) + user.size);
    const isBehind = (user?.count ?? 0) > 0;
    return Math.max(isBehind ? 2 : 1, Math.floor(paid / this.#quantum) + 1);
  }

  /** Whether more than one turn's worth of the user waits. */
  hasMany(user: string): boolean {
    return (this.#users.get(user)?.size ?? 0) > this.#quantum;
  }

  /** Adds a row at the end of its user's line; a user without rows joins the round at its end. */
  add(row: R): void {
    const user = this.#users.get(row.user);
    if (user?.count === 0) {
      this.#leaveRound(user);
      this.#joinRound(user, user.credit < 0 ? this.#served : this.#fresh);
    }
    this.#enter(row, 'push');
  }

  /**
   * Puts back a row that was taken: to the front, with its charge refunded; if the turn was its user's, the user
   * gets it back.
   */
  putBack(row: R): void {
    const lane = this.#enter(row, 'unshift');
    lane.virtualTime = Math.max(0, lane.virtualTime - row.size);
    const user = this.#users.get(row.user);
    if (user === undefined) return;
    user.credit += row.size;
    if (user.lastTurn !== row) return;
    user.lastTurn = undefined;
    this.#leaveRound(user);
    user.since = 0;
    this.#rejoinRound(user, this.#fresh);
  }

  /** Puts back a row that left with another of its key: to the front; nobody was charged for it. */
  restore(row: R): void {
    this.#enter(row, 'unshift');
  }

  /** Removes a row; does nothing if it does not wait. */
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
    user.size -= row.size;
    if (user.count === 0) this.#activeUsers -= 1;
    user.lanes.get(row.model)?.line.left();
    model.leave(row);
    if (model.count === 0) this.#models.delete(row.model);
  }

  /** Takes a row out to run it: its user is charged. */
  take(row: R): void {
    const user = this.#users.get(row.user);
    const lane = user?.lanes.get(row.model);
    if (user === undefined || lane === undefined || !this.has(row)) return;
    this.remove(row);
    user.credit -= row.size;
    lane.virtualTime += row.size;
  }

  /** Takes out the other rows with that row's key, of any user: they get its result. */
  takeSame(row: R): readonly R[] {
    const same = row.key === undefined ? undefined : this.#same.get(row.key);
    if (same === undefined) return [];
    const others = same instanceof Set ? [...same] : [same];
    for (const other of others) this.remove(other);
    return others;
  }

  /**
   * The row whose turn it is: from the first user in the round without debt, and from its least-served model.
   * The user goes to the end of the round.
   *
   * @param isHeld models that cannot run now; a user who waits for no other keeps its place.
   */
  next(isHeld: (model: string) => boolean): R | undefined {
    const passed: User<R>[] = [];
    let found: R | undefined;
    for (let user = this.#first(); user !== undefined; user = this.#first()) {
      const row = user.count === 0 ? undefined : this.#firstOf(user, isHeld);
      this.#leaveRound(user);
      if (user.count > 0 && row === undefined) {
        passed.push(user);
        continue;
      }
      user.credit = Math.min(this.#quantum, user.credit + this.#quantum);
      if (user.count === 0 && user.credit >= 0) {
        this.#users.delete(user.name);
        continue;
      }
      this.#joinRound(user, this.#served);
      if (row === undefined || user.credit <= 0) continue;
      user.lastTurn = row;
      found = row;
      break;
    }
    for (const user of passed.reverse()) this.#rejoinRound(user, user.line);
    return found;
  }

  /** A row of the shortest class, whoever’s turn it is; undefined if none is within its model’s `mostSize`. */
  shortest(isHeld: (model: string) => boolean, mostSize: (model: string) => number): R | undefined {
    for (const [model, rows] of this.#models) {
      const row = isHeld(model) ? undefined : rows.shortest();
      if (row !== undefined && row.size <= mostSize(model)) return row;
    }
    return undefined;
  }

  /** First in the round, in debt or not. */
  #first(): User<R> | undefined {
    const [fresh, served] = [this.#fresh.first(), this.#served.first()];
    if (fresh === undefined || served === undefined) return fresh ?? served;
    if (fresh.since < served.since) return fresh;
    const pays = served.count === 0 || served.credit + this.#quantum <= 0;
    if (pays || served.overtaken) return served;
    served.overtaken = true;
    return fresh;
  }

  /** Up to `most` rows of the model within a factor of two of that size, the nearest class first. */
  alike(model: string, size: number, most: number): readonly R[] {
    return this.#models.get(model)?.alike(size, most) ?? [];
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
    const model = this.#models.get(row.model) ?? new ModelRows<R>();
    this.#models.set(row.model, model);
    const entry = { lane: { item: row }, length: { item: row } };
    this.#entries.set(row, entry);
    this.#enterSame(row);
    lane.line[how](entry.lane);
    model.enter(row, entry.length, how);
    if (user.count === 0) this.#activeUsers += 1;
    user.count += 1;
    user.size += row.size;
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
    if (known !== undefined) return known;
    const user: User<R> = {
      ...{ name, laneTime: 0, count: 0, size: 0, credit: 0, lastTurn: undefined },
      ...{ lanes: new Map(), place: { item: undefined }, line: this.#fresh },
      ...{ since: 0, overtaken: false },
    };
    this.#users.set(name, user);
    this.#joinRound(user, this.#fresh);
    return user;
  }

  #laneOf(user: User<R>, model: string): Lane<R> {
    const known = user.lanes.get(model);
    if (known !== undefined) {
      if (known.line.size === 0) {
        known.virtualTime = Math.max(known.virtualTime, user.laneTime);
        known.since = this.#arrivals;
      }
      return known;
    }
    const line = new Line<R>();
    const lane = { model, line, virtualTime: user.laneTime, since: this.#arrivals };
    user.lanes.set(model, lane);
    return lane;
  }

  #joinRound(user: User<R>, line: Line<User<R>>): void {
    this.#joins += 1;
    user.since = this.#joins;
    user.overtaken = false;
    user.line = line;
    user.place = { item: user };
    line.push(user.place);
  }

  /** Puts a user who was taken out without a turn back to the front. */
  #rejoinRound(user: User<R>, line: Line<User<R>>): void {
    user.line = line;
    user.place = { item: user };
    line.unshift(user.place);
  }

  #leaveRound(user: User<R>): void {
    user.place.item = undefined;
    user.line.left();
  }
}

function isBefore<R>(a: Lane<R>, b: Lane<R>): boolean {
  return a.virtualTime < b.virtualTime || (a.virtualTime === b.virtualTime && a.since < b.since);
}
