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

/** Among the models of one user who was served least is next, in characters; ties go to who waited first. */
interface Lane<R> {
  readonly model: string;
  readonly line: Line<R>;
  virtualTime: number;
  since: number;
}

interface User<R> {
  readonly name: string;
  readonly lanes: Map<string, Lane<R>>;
  /** Virtual time among its models. */
  laneTime: number;
  count: number;
  /** Characters that wait. */
  size: number;
  /** Characters that it may still have served; below 0 it passes turns until that is paid. */
  credit: number;
  /** Its place in a line of users, and since when it is there. */
  place: Place<User<R>>;
  line: Line<User<R>>;
  since: number;
  /** Whether a newcomer went before it since its last turn. */
  overtaken: boolean;
  /** The row with which it has had its last turn. */
  lastTurn: R | undefined;
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

/** Texts of up to this many characters (about 32 tokens) cost the same: a call's fixed part outweighs them. */
const SHORT_SIZE = 192;
const CLASSES_PER_DOUBLING = 4;

/** Lengths of one class differ by less than a fifth; all short ones are alike. */
export function lengthClass(size: number): number {
  return Math.floor(CLASSES_PER_DOUBLING * Math.log2(Math.max(size, SHORT_SIZE) / SHORT_SIZE));
}

/** What a user may have served for one turn, unless told otherwise: a batch. */
const DEFAULT_QUANTUM = 2048;

/**
 * The inputs that wait, and whose turn it is. Plain state: no clock, no process, no promise. Coming,
 * leaving and being taken cost O(1), amortised, however many rows and users wait.
 *
 * Users take turns in a round: one who comes is its last, one who has had a turn goes to its end. So hardly anybody
 * who comes later is put before those who wait, and how long a row will wait can be told when it comes. Only
 * one who has had a turn already lets one newcomer go first: beside one user who floods, who comes need not wait
 * for a batch of the flood.
 * Each turn is worth a quantum of characters. Who was served more (by large rows, or rows that ran along
 * in batches of others) passes turns until that is paid; who leaves in debt finds it again on coming back
 * within as many rounds. Deficit round robin: M. Shreedhar, G. Varghese, SIGCOMM 1995.
 */
export class WaitingRows<R extends WaitingRow> {
  readonly #entries = new Map<R, Entry<R>>();
  readonly #users = new Map<string, User<R>>();
  readonly #models = new Map<string, ModelRows<R>>();
  /** By key; most have one row, and need no set. */
  readonly #same = new Map<string, R | Set<R>>();
  /** Users who have not had a turn since they came. */
  readonly #fresh = new Line<User<R>>();
  /** Users who have, and those who are in debt. */
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

  /** What one turn is worth, in characters. */
  get quantum(): number {
    return this.#quantum;
  }

  /** Turns until the user's debt, what waits of it and `size` more characters have been served; at least one. */
  turnsFor(userName: string, size: number): number {
    const user = this.#users.get(userName);
    if (user === undefined) return Math.max(1, Math.ceil(size / this.#quantum));
    const characters = Math.max(0, -user.credit) + user.size + size;
    return Math.max(user.count > 0 ? 2 : 1, Math.ceil(characters / this.#quantum));
  }

  /** Whether more of the user waits than one turn is worth. */
  hasMany(user: string): boolean {
    return (this.#users.get(user)?.size ?? 0) > this.#quantum;
  }

  /** A row comes: it is the last of its user and model. A user who had none is the last of the round. */
  add(row: R): void {
    const user = this.#users.get(row.user);
    if (user?.count === 0) {
      this.#leaveRound(user);
      this.#joinRound(user, user.credit < 0 ? this.#served : this.#fresh);
    }
    this.#enter(row, 'push');
  }

  /**
   * A row comes back that was taken: to the front, and what its user was charged is returned; if it was the
   * user's turn, it is again.
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
    user.size -= row.size;
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
    user.credit -= row.size;
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
   * The row whose turn it is: of the first user in the round who is not in debt, and of its models the one
   * that was served least. The user goes to the end of the round.
   *
   * @param isHeld models that cannot run now; who waits for none but those keeps its place.
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

  /** Whose turn it is, in debt or not. */
  #first(): User<R> | undefined {
    const [fresh, served] = [this.#fresh.first(), this.#served.first()];
    if (fresh === undefined || served === undefined) return fresh ?? served;
    if (fresh.since < served.since) return fresh;
    const pays = served.count === 0 || served.credit + this.#quantum <= 0;
    if (pays || served.overtaken) return served;
    served.overtaken = true;
    return fresh;
  }

  /** Rows of the model near to that size, the nearest class first, within a factor of two; so many at most. */
  alike(model: string, size: number, most: number): readonly R[] {
    const found: R[] = [];
    const byLength = this.#models.get(model)?.byLength;
    if (byLength === undefined) return found;
    const own = lengthClass(size);
    for (let away = 0; away <= CLASSES_PER_DOUBLING && found.length < most; away += 1) {
      byLength.get(own - away)?.fill(found, most);
      if (away > 0) byLength.get(own + away)?.fill(found, most);
    }
    return found;
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
    user.size += row.size;
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

  /** To the front, for one who was taken out and did not have its turn. */
  #rejoinRound(user: User<R>, line: Line<User<R>>): void {
    user.line = line;
    user.place = { item: user };
    line.unshift(user.place);
  }

  #leaveRound(user: User<R>): void {
    user.place.item = undefined;
    user.line.left();
  }

  #leaveLength(model: ModelRows<R>, row: R): void {
    const key = lengthClass(row.size);
    const line = model.byLength.get(key);
    line?.left();
    if (line?.size === 0) model.byLength.delete(key);
  }
}

function isBefore<R>(a: Lane<R>, b: Lane<R>): boolean {
  return a.virtualTime < b.virtualTime || (a.virtualTime === b.virtualTime && a.since < b.since);
}
