/** What each piece of a deployment takes, for docs/deploy.md. Pure. */
import type { Result } from '../harness/report.js';
import { commandOf, shownMachine, table } from './lines.js';
import { measuredCosts, sourcesOf } from './measured-costs.js';

/** The lines between the marks. @throws Error if a result is missing */
export function piecesTable(results: readonly Result[]): readonly string[] {
  const { serverMb, redis, postgresql, balancerMb } = measuredCosts(results);
  const { start, costs } = sourcesOf(results);
  const whole = (value: number) => value.toFixed(0);
  return [
    ...table(
      ['piece', 'what it is for', 'memory', 'disk'],
      [
        [
          'a server at rest, two workers',
          'answers, or works on jobs',
          `${whole(serverMb)} MB ¹`,
          'its packages: see [what was tried](#what-was-tried-and-what-was-not)',
        ],
        [
          'PostgreSQL',
          'one set of records and keys for all servers',
          `${whole(postgresql.idleMb)} MB with one connection, ${whole(postgresql.busyMb)} MB with 20 ²`,
          `about ${whole(postgresql.rowBytes)} bytes a record, indexes included ²`,
        ],
        [
          'Redis for results',
          'one cache, the limits and the sessions of all servers',
          `${whole(redis.idleMb)} MB empty, ${whole(redis.bytesOfTwoLabels)} bytes for a result of two labels ²`,
          'none',
        ],
        [
          'Redis for jobs',
          'the queue of bulk jobs for several machines',
          `${whole(redis.idleMb)} MB empty ²`,
          'its append-only file',
        ],
        [
          'HAProxy',
          'sends each request to a server that is ready',
          `${whole(balancerMb)} MB ²`,
          'none',
        ],
        [
          'Prometheus, Grafana, KEDA',
          'watching, and scaling workers by what waits',
          'not measured here',
          'not measured here',
        ],
      ],
    ),
    '',
    `¹ \`${commandOf(start)}\`, private memory, on ${shownMachine(start.machine)}. ² \`${commandOf(costs)}\`, on ${shownMachine(costs.machine)}.`,
  ];
}
