/** The main side of `raw-loop`. */
import type { Context } from '../harness/benchmark.js';
import { type Child, startChild } from '../harness/child.js';
import type { CachedModel } from '../harness/models.js';

export type RawJob =
  | {
      readonly kind: 'time';
      readonly texts: readonly string[];
      readonly threads: number;
      readonly batch: number;
      readonly ms: number;
    }
  /** One text, once: how long it takes. */
  | { readonly kind: 'once'; readonly text: string; readonly threads: number }
  | { readonly kind: 'score'; readonly texts: readonly string[]; readonly threads: number };

/** One way to use the cores. */
export interface RawWay {
  readonly processes: number;
  readonly threads: number;
  readonly batch: number;
}

const BATCHES = [1, 4, 16];

/** A tight loop around a model, in processes of its own. */
export class RawLoop {
  readonly #children: readonly Child[];

  constructor(context: Pick<Context, 'defer'>, model: CachedModel, processes: number) {
    this.#children = Array.from({ length: processes }, () =>
      startChild(context, 'speed/raw-loop', [model.directory]),
    );
  }

  async itemsPerSecond(way: RawWay, texts: readonly string[], ms: number): Promise<number> {
    const { threads, batch } = way;
    const children = this.#children.slice(0, way.processes);
    const results = children.map(async (child) => {
      child.tell({ kind: 'time', texts, threads, batch, ms } satisfies RawJob);
      return (await child.next()) as { readonly itemsPerSecond: number };
    });
    return (await Promise.all(results)).reduce((sum, each) => sum + each.itemsPerSecond, 0);
  }

  /** The fastest of the ways: one process with all threads, or one for each core; some batch sizes. */
  async bestWay(cores: number, texts: readonly string[], ms: number): Promise<RawWay> {
    let best: RawWay = { processes: 1, threads: cores, batch: 1 };
    let most = 0;
    for (const batch of BATCHES) {
      for (const processes of new Set([1, cores])) {
        const way = { processes, threads: Math.max(1, Math.floor(cores / processes)), batch };
        const rate = await this.itemsPerSecond(way, texts, ms);
        if (rate > most) [best, most] = [way, rate];
      }
    }
    return best;
  }

  /** Milliseconds from the text to its scores, in one process. */
  async once(text: string, threads: number): Promise<number> {
    const [child] = this.#children;
    if (child === undefined) throw new Error('there is no raw process');
    child.tell({ kind: 'once', text, threads } satisfies RawJob);
    return ((await child.next()) as { readonly ms: number }).ms;
  }

  async scores(
    texts: readonly string[],
    threads: number,
  ): Promise<{
    readonly labels: readonly string[];
    readonly scores: readonly (readonly number[])[];
  }> {
    const [child] = this.#children;
    if (child === undefined) throw new Error('there is no raw process');
    child.tell({ kind: 'score', texts, threads } satisfies RawJob);
    return (await child.next()) as Awaited<ReturnType<RawLoop['scores']>>;
  }

  async stop(): Promise<void> {
    for (const { process: child } of this.#children) child.kill('SIGKILL');
    await Promise.all(this.#children.map(({ ended }) => ended));
  }
}
