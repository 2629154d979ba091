/** The parts of docs/scale.md that follow from measured costs. Pure. */
import { count, plain } from '../../src/proof/format.js';
import { CACHE_SETTINGS } from '../../src/settings/areas/cache.js';
import { titleOf } from '../harness/models.js';
import { type Result, shownFigure } from '../harness/report.js';
import { commandOf, shownDisturbance, shownMachine, table } from './lines.js';
import {
  type MeasuredCosts,
  type ModelCost,
  measuredCosts,
  SOURCES,
  type Source,
  sourcesOf,
} from './measured-costs.js';

const TEXTS_A_DAY = 1e9;
const DAY_S = 86_400;
const REQUESTS_A_SECOND = 1e5;
/** Parts of the requests that the cache answers. */
const HIT_SHARES = [0, 0.5, 0.9, 0.99];
/** The share of hits that servers and databases are planned for, and how busy a server is then. */
const PLANNED_HITS = 0.9;
const PLANNED_LOAD = 0.7;
/** The default. */
const CACHE_TTL_S = CACHE_SETTINGS['cache.ttl'].fallback({ cpus: 1 });
/** PostgreSQL ends a statement after this time (`LIMITS` in store/databases/postgres.ts). */
const STATEMENT_LIMIT_S = 15;

/** The lines of each part, by the name of its marks. @throws Error if a result is missing */
export function scaleTables(
  results: readonly Result[],
): Readonly<Record<string, readonly string[]>> {
  const costs = measuredCosts(results);
  return {
    sources: sources(results),
    costs: costsOfOneText(costs),
    jobs: machinesForJobs(costs),
    cores: coresForRequests(costs),
    servers: serversForRequests(costs),
    redis: redisForResults(costs),
    postgresql: postgresqlForRecords(costs),
    limits: limits(costs),
  };
}

/** Each letter's command, with the machine that it ran on. */
function sources(results: readonly Result[]): readonly string[] {
  return Object.entries(sourcesOf(results)).map(([name, result]) => {
    const letter = SOURCES[name as Source];
    const day = result.started_at.slice(0, 10);
    return `- **[${letter}]** \`${commandOf(result)}\`: ${shownMachine(result.machine)}; ${day}, ${shownDisturbance(result)}`;
  });
}

function costsOfOneText({ models, cores, fromMemoryMs, fromRedisMs }: MeasuredCosts) {
  const fromCache = (name: string, ms: number) => [name, ofMs(ms), '–', rate(1000 / ms), '–'];
  return table(
    ['', 'main process', 'workers', 'one core does [=]', `a machine of ${cores} cores did [t]`],
    [
      fromCache('answered from memory [c]', fromMemoryMs),
      fromCache('answered from Redis [c]', fromRedisMs),
      ...models.map((model) => [
        `${titleOf(model.id)} [t]`,
        ofMs(model.mainMs),
        ofMs(model.workersMs),
        rate(1000 / missMs(model)),
        rate(model.perSecond),
      ]),
    ],
  );
}

function machinesForJobs({ models, cores }: MeasuredCosts): readonly string[] {
  const perSecond = TEXTS_A_DAY / DAY_S;
  return table(
    ['model', 'cores [=]', `machines of ${cores} cores [=]`],
    models.map((model) => [
      titleOf(model.id),
      count(Math.ceil((perSecond * missMs(model)) / 1000)),
      count(Math.ceil(perSecond / model.perSecond)),
    ]),
  );
}

function coresForRequests({ models, fromRedisMs }: MeasuredCosts): readonly string[] {
  return table(
    ['answered from the cache', ...models.map(({ id }) => titleOf(id))],
    HIT_SHARES.map((hits) => [
      hits === 0 ? 'none' : `${100 * hits} %`,
      ...models.map((model) => {
        const ms = (1 - hits) * missMs(model) + hits * fromRedisMs;
        return count(Math.ceil((REQUESTS_A_SECOND * ms) / 1000));
      }),
    ]),
  );
}

/** Servers whose workers are as busy as their main process: its one thread sets what a server can do. */
function serversForRequests(costs: MeasuredCosts): readonly string[] {
  const { models, fromRedisMs, serverMb, furtherWorkerMb } = costs;
  const misses = 1 - PLANNED_HITS;
  const rows = models.map((model) => {
    const perSecond = 1000 / (PLANNED_HITS * fromRedisMs + misses * model.mainMs);
    const workers = Math.ceil((perSecond * misses * model.workersMs) / 1000);
    const servers = Math.ceil(REQUESTS_A_SECOND / (PLANNED_LOAD * perSecond));
    return [
      titleOf(model.id),
      rate(perSecond),
      count(workers),
      count(servers),
      count(servers * (workers + 1)),
    ];
  });
  const head = [
    `${100 * PLANNED_HITS} % hits`,
    'one main process does [=]',
    'and keeps so many workers busy [=]',
    `servers at ${100 * PLANNED_LOAD} % of that [=]`,
    'cores of all servers [=]',
  ];
  return [
    ...table(head, rows),
    '',
    `Memory is small: ${count(serverMb)} MB for a server at rest with two workers [s], ${count(furtherWorkerMb)} MB for each further worker, whose weights are shared [h].`,
  ];
}

function redisForResults({ redis }: MeasuredCosts): readonly string[] {
  const { bytesOfTwoLabels, bytesOfManyLabels, writeUs, readUs } = redis;
  const writes = REQUESTS_A_SECOND * (1 - PLANNED_HITS);
  const kept = writes * CACHE_TTL_S;
  const cores = (REQUESTS_A_SECOND * readUs + writes * writeUs) / 1e6;
  return table(
    ['', ''],
    [
      [
        'a result of two labels',
        `${count(bytesOfTwoLabels)} bytes, of 28 labels ${count(bytesOfManyLabels)} bytes [k]`,
      ],
      [
        `new results, ${100 * PLANNED_HITS} % hits`,
        `${count(writes)}/s; within \`cache.ttl\` (${CACHE_TTL_S / 3600} h) ${plain(kept / 1e6)} million results: ${gigabytes(kept * bytesOfTwoLabels)} [=]`,
      ],
      [
        'its CPU',
        `${readUs} µs for a lookup of one key, ${writeUs} µs for a write [k]: ${count(REQUESTS_A_SECOND)} lookups and ${count(writes)} writes a second take ${cores.toFixed(2)} cores [=]`,
      ],
      [
        'its one core is full at',
        `${rounded(lookupsOf(redis))} lookups/s, a tenth of them followed by a write [=]`,
      ],
    ],
  );
}

function postgresqlForRecords({ postgresql }: MeasuredCosts): readonly string[] {
  const { rowBytes, indexBytes, walBytes, rowsPerSecond, rowUs, countedPerSecond } = postgresql;
  const rowsOfDay = REQUESTS_A_SECOND * DAY_S;
  const countable = countedPerSecond * STATEMENT_LIMIT_S;
  return table(
    ['', ''],
    [
      [
        'a record',
        `${count(rowBytes)} bytes, ${count(indexBytes)} of them indexes; ${count(walBytes)} bytes of log (WAL) [k]`,
      ],
      [
        'rows',
        `${rate(rowsPerSecond)} from one server that answered meanwhile, on the same cores; PostgreSQL’s CPU ${plain(rowUs)} µs a row [k]`,
      ],
      [
        `${count(REQUESTS_A_SECOND)} rows/s`,
        `${plain((REQUESTS_A_SECOND * rowUs) / 1e6)} cores, ${terabytes(rowsOfDay * rowBytes)} of rows and ${terabytes(rowsOfDay * walBytes)} of log a day [=]`,
      ],
      [
        'counting the rows, as retention does',
        `${plain(countedPerSecond / 1e6)} million rows/s [k]: with more than ${plain(countable / 1e6)} million rows it takes longer than the ${STATEMENT_LIMIT_S} s that a statement may [=]`,
      ],
    ],
  );
}

/** What ends first, in the order of the load that it ends at. */
function limits({ models, cores, redis }: MeasuredCosts): readonly string[] {
  const smallest = models.toSorted((one, other) => missMs(one) - missMs(other))[0];
  if (smallest === undefined) throw new Error('bench/results/throughput.json has no model');
  const name = titleOf(smallest.id);
  return table(
    ['at', 'what', 'what to do'],
    [
      [
        `${rate(smallest.perSecond)} on ${cores} cores, ${name} [t]`,
        'the CPUs',
        'more servers: nothing is shared that slows them',
      ],
      [
        `${rate(1000 / smallest.mainMs)} on one server that no cache knows, ${name} [=]`,
        'its main thread',
        'several servers on a machine; their weights are shared',
      ],
      ['some 10⁴ records/s for long', 'retention, then PostgreSQL’s disk', 'several fleets'],
      [
        `${rounded(lookupsOf(redis))} lookups/s [=]`,
        'Redis’s one core',
        'memory first, hashing at the balancer, several fleets',
      ],
      ['never, within these figures', 'the queue of jobs', ''],
    ],
  );
}

/** Lookups a second that fill one core of Redis, with a write after each that found nothing. */
function lookupsOf({ readUs, writeUs }: MeasuredCosts['redis']): number {
  return 1e6 / (readUs + (1 - PLANNED_HITS) * writeUs);
}

/** CPU time of a text that no cache knows, in all processes. */
function missMs({ mainMs, workersMs }: ModelCost): number {
  return mainMs + workersMs;
}

function ofMs(value: number): string {
  return shownFigure(value, 'ms');
}

function rate(perSecond: number): string {
  return `${rounded(perSecond)}/s`;
}

/** Two significant digits: machines differ by more. */
function rounded(value: number): string {
  return Number(value.toPrecision(2)).toLocaleString('en-US');
}

function gigabytes(bytes: number): string {
  return `${plain(bytes / 1e9)} GB`;
}

function terabytes(bytes: number): string {
  return `${plain(bytes / 1e12)} TB`;
}
