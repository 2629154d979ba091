/** What the plans of docs/scale.md and docs/deploy.md calculate with, out of the kept results. Pure. */
import type { Result } from '../harness/report.js';
import { median } from '../harness/spread.js';

/** Results that the plans rest on, each with the letter by which docs/scale.md refers to it. */
export const SOURCES = {
  throughput: 't',
  cached: 'c',
  costs: 'k',
  start: 's',
  share: 'h',
} as const;

export type Source = keyof typeof SOURCES;

/** A model under load: CPU time of one text in each kind of process, and what the whole machine did. */
export interface ModelCost {
  readonly id: string;
  readonly mainMs: number;
  readonly workersMs: number;
  readonly perSecond: number;
}

export interface MeasuredCosts {
  readonly models: readonly ModelCost[];
  /** Of the machine that ran `throughput`. */
  readonly cores: number;
  /** The main process's CPU time for an answer that one of the two tiers knows. */
  readonly fromMemoryMs: number;
  readonly fromRedisMs: number;
  /** Private memory at rest of all processes, with two workers. */
  readonly serverMb: number;
  readonly furtherWorkerMb: number;
  readonly redis: {
    readonly idleMb: number;
    readonly bytesOfTwoLabels: number;
    readonly bytesOfManyLabels: number;
    readonly writeUs: number;
    readonly readUs: number;
  };
  readonly postgresql: {
    readonly idleMb: number;
    readonly busyMb: number;
    readonly rowBytes: number;
    readonly indexBytes: number;
    readonly walBytes: number;
    readonly rowsPerSecond: number;
    readonly rowUs: number;
    readonly countedPerSecond: number;
  };
  readonly balancerMb: number;
}

interface Turn {
  readonly serverUsPerRequest: number;
}

interface Round {
  readonly server: number;
  readonly cpuOfItem: { readonly main: number; readonly workers: number };
}

/** @throws Error if a result is missing, or lacks a figure */
export function measuredCosts(results: readonly Result[]): MeasuredCosts {
  const { throughput, cached, costs, start, share } = sourcesOf(results);
  const turns = detail<{ memory: readonly Turn[]; redis: readonly Turn[] }>(cached, 'turns');
  const ways = detail<Record<string, readonly { allMb: number }[]>>(start, 'ways');
  const models = detail<readonly { model: string; rounds: readonly Round[] }[]>(
    throughput,
    'models',
  );
  return {
    models: models.map(({ model, rounds }) => modelCost(model, rounds)),
    cores: throughput.machine.cores,
    fromMemoryMs: requestMs(turns.memory),
    fromRedisMs: requestMs(turns.redis),
    serverMb: median((ways['as a unit or a container'] ?? []).map(({ allMb }) => allMb)),
    furtherWorkerMb: figureIn(share, 'each further worker', /^([\d.]+) MB/),
    ...pieces(costs),
  };
}

/** @throws Error if one is missing */
export function sourcesOf(results: readonly Result[]): Readonly<Record<Source, Result>> {
  const named = (name: Source): Result => {
    const found = results.find((result) => result.name === name && result.model === undefined);
    if (found === undefined) throw new Error(`bench/results has no ${name}.json`);
    return found;
  };
  return {
    throughput: named('throughput'),
    cached: named('cached'),
    costs: named('costs'),
    start: named('start'),
    share: named('share'),
  };
}

function modelCost(id: string, rounds: readonly Round[]): ModelCost {
  return {
    id,
    mainMs: median(rounds.map(({ cpuOfItem }) => cpuOfItem.main)),
    workersMs: median(rounds.map(({ cpuOfItem }) => cpuOfItem.workers)),
    perSecond: median(rounds.map(({ server }) => server)),
  };
}

function requestMs(turns: readonly Turn[]): number {
  return median(turns.map(({ serverUsPerRequest: us }) => us)) / 1000;
}

/** The programs beside the server: their memory, and what a result or a record costs them. */
function pieces(costs: Result): Pick<MeasuredCosts, 'redis' | 'postgresql' | 'balancerMb'> {
  const [bytesOfTwoLabels = Number.NaN, , bytesOfManyLabels = Number.NaN] = detail<
    readonly number[]
  >(costs, 'redis_bytes');
  const database = detail<Record<string, number>>(costs, 'database');
  const ofDatabase = (name: string) => database[name] ?? missing(costs, name);
  const twoLabels = 'Redis: a result of 2 labels';
  return {
    redis: {
      idleMb: figureIn(costs, 'Redis, idle', /^([\d.]+) MB/),
      ...{ bytesOfTwoLabels, bytesOfManyLabels },
      writeUs: figureIn(costs, twoLabels, /SET ([\d.]+) µs/),
      readUs: figureIn(costs, twoLabels, /MGET of one ([\d.]+) µs/),
    },
    postgresql: {
      idleMb: figureIn(costs, 'PostgreSQL with 1 connection', /^([\d.]+) MB/),
      busyMb: figureIn(costs, 'PostgreSQL with 20 connections', /^([\d.]+) MB/),
      rowBytes: ofDatabase('bytes'),
      indexBytes: ofDatabase('indexBytes'),
      walBytes: ofDatabase('walBytes'),
      rowsPerSecond: ofDatabase('perSecond'),
      rowUs: ofDatabase('databaseUs'),
      countedPerSecond: ofDatabase('countPerSecond'),
    },
    balancerMb: figureIn(costs, 'HAProxy with deploy/compose/haproxy.cfg, idle', /^([\d.]+) MB/),
  };
}

function detail<T>(result: Result, name: string): T {
  return (result.details?.[name] ?? missing(result, name)) as T;
}

/** A figure that the result has only within the sentence of a fact. */
function figureIn(result: Result, fact: string, pattern: RegExp): number {
  const value = result.facts.find((each) => each.fact === fact)?.value ?? missing(result, fact);
  return Number(pattern.exec(value)?.[1] ?? missing(result, fact));
}

function missing({ name }: Result, figure: string): never {
  throw new Error(`bench/results/${name}.json does not say: ${figure}`);
}
