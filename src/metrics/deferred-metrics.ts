import { Counter, Histogram, type Registry } from 'prom-client';

/**
 * A counter in the path of every request. It adds up in place and hands the sum to prom-client when metrics
 * are scraped: prom-client builds a string for each call.
 */
export class DeferredCounter {
  readonly #sums = new Map<string, number>();

  constructor(registry: Registry, name: string, help: string, label: string) {
    const sums = this.#sums;
    new Counter({
      name,
      help,
      labelNames: [label],
      registers: [registry],
      collect() {
        for (const [value, sum] of sums) this.inc({ [label]: value }, sum);
        sums.clear();
      },
    });
  }

  add(labelValue: string, count: number): void {
    this.#sums.set(labelValue, (this.#sums.get(labelValue) ?? 0) + count);
  }
}

/** Requests of one route, by duration and by status. */
interface RouteSums {
  /** One for each bucket, and one for requests slower than all of them. */
  readonly counts: Float64Array;
  seconds: number;
  readonly statuses: Map<number, number>;
}

/** Requests and their durations, added up in place like {@link DeferredCounter}. */
export class RequestMetrics {
  readonly #bounds: readonly number[];
  readonly #routes = new Map<string, RouteSums>();

  /** @param buckets upper bounds in seconds, rising. */
  constructor(
    registry: Registry,
    counted: { readonly name: string; readonly help: string },
    timed: { readonly name: string; readonly help: string; readonly buckets: number[] },
  ) {
    this.#bounds = timed.buckets;
    const routes = this.#routes;
    new Counter({
      ...counted,
      labelNames: ['route', 'status'],
      registers: [registry],
      collect() {
        for (const [route, { statuses }] of routes) {
          for (const [status, count] of statuses) this.inc({ route, status: `${status}` }, count);
          statuses.clear();
        }
      },
    });
    new SummedHistogram({ ...timed, labelNames: ['route'], registers: [registry] }, () =>
      this.#figures(timed.name),
    );
  }

  add(route: string, status: number, seconds: number): void {
    const sums = this.#routes.get(route) ?? this.#newRoute(route);
    let bucket = 0;
    for (const bound of this.#bounds) {
      if (seconds <= bound) break;
      bucket += 1;
    }
    sums.counts[bucket] = (sums.counts[bucket] ?? 0) + 1;
    sums.seconds += seconds;
    sums.statuses.set(status, (sums.statuses.get(status) ?? 0) + 1);
  }

  #newRoute(route: string): RouteSums {
    const counts = new Float64Array(this.#bounds.length + 1);
    const sums: RouteSums = { counts, seconds: 0, statuses: new Map() };
    this.#routes.set(route, sums);
    return sums;
  }

  /** Prometheus buckets are cumulative. */
  #figures(name: string): HistogramValue[] {
    return [...this.#routes].flatMap(([route, { counts, seconds }]) => {
      let count = 0;
      const buckets = [...this.#bounds, '+Inf'].map((le, index) => {
        count += counts[index] ?? 0;
        return { labels: { le, route }, value: count, metricName: `${name}_bucket` };
      });
      return [
        ...buckets,
        { labels: { route }, value: seconds, metricName: `${name}_sum` },
        { labels: { route }, value: count, metricName: `${name}_count` },
      ];
    });
  }
}

type HistogramFigures = Awaited<ReturnType<Histogram['get']>>;
type HistogramValue = HistogramFigures['values'][number];

/** A histogram whose values are counted elsewhere. */
class SummedHistogram extends Histogram {
  /** Never counts: supplies name, help and type. */
  readonly #empty: Histogram;
  readonly #values: () => HistogramValue[];

  constructor(
    configuration: ConstructorParameters<typeof Histogram>[0],
    values: () => HistogramValue[],
  ) {
    super(configuration);
    this.#empty = new Histogram({ ...configuration, registers: [] });
    this.#values = values;
  }

  override async get(): Promise<HistogramFigures> {
    return { ...(await this.#empty.get()), values: this.#values() };
  }

  /** The registry prefers this method. */
  async getForPromString(): Promise<HistogramFigures> {
    return this.get();
  }
}
