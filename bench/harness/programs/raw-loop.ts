/** A plain ONNX Runtime session without a server, in processes of its own; their side is `raw-loop-main.ts`. */
import type { Deferring } from '../benchmark.js';
import { type Child, startChild } from '../child.js';
import type { CachedModel } from '../models.js';

export type RawJob =
  /** The texts in turn, in batches, for so long: how many a second. */
  | {
      readonly kind: 'time';
      readonly texts: readonly string[];
      readonly threads: number;
      readonly batch: number;
      readonly ms: number;
    }
  /** One text, once: how long it takes. */
  | { readonly kind: 'once'; readonly text: string; readonly threads: number }
  /** The scores of each text, one at a time. */
  | { readonly kind: 'score'; readonly texts: readonly string[]; readonly threads: number };

/** One way to use the cores. */
export interface RawWay {
  readonly processes: number;
  readonly threads: number;
  readonly batch: number;
}

/** Scores by text and label. */
export interface RawScores {
  readonly labels: readonly string[];
  readonly scores: readonly (readonly number[])[];
}

const BATCHES = [1, 4, 16];

/** A tight loop around tokenizer and session, in one or several processes. */
export class RawLoop {
  readonly #children: readonly Child[];

  constructor(context: Deferring, model: CachedModel, processes: number) {
    this.#children = Array.from({ length: processes }, () =>
      startChild(context, 'harness/programs/raw-loop-main', [model.directory]),
    );
  }

  async itemsPerSecond(way: RawWay, texts: readonly string[], ms: number): Promise<number> {
    const { threads, batch } = way;
    const results = this.#children.slice(0, way.processes).map(async (child) => {
      child.tell({ kind: 'time', texts, threads, batch, ms } satisfies RawJob);
      return (await child.next()) as { readonly itemsPerSecond: number };
    });
    return (await Promise.all(results)).reduce((sum, each) => sum + each.itemsPerSecond, 0);
  }

  /** The fastest way: one process with all threads or one for each core, and some batch sizes. */
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
    const { ms } = await this.#ask<{ readonly ms: number }>({ kind: 'once', text, threads });
    return ms;
  }

  scores(texts: readonly string[], threads: number): Promise<RawScores> {
    return this.#ask<RawScores>({ kind: 'score', texts, threads });
  }

  async stop(): Promise<void> {
    for (const { process: child } of this.#children) child.kill('SIGKILL');
    await Promise.all(this.#children.map(({ ended }) => ended));
  }

  async #ask<T>(job: RawJob): Promise<T> {
    const [child] = this.#children;
    if (child === undefined) throw new Error('there is no raw process');
    child.tell(job);
    return (await child.next()) as T;
  }
}
