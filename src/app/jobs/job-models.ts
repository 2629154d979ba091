import type { Classifier } from '../../inference/classify.js';
import type { RowTask } from '../../inference/row-task.js';
import type { JobModels } from '../../jobs/run/runner.js';
import type { MemoryManager } from '../../memory/manager.js';
import { hubOriginOf } from '../../models/intake/origin.js';
import type { Model, ModelRepository } from '../../models/intake/repository.js';
import type { ModelLibrary } from '../../models/library.js';

export interface JobModelParts {
  readonly repository: ModelRepository;
  readonly library: ModelLibrary;
  readonly classifier: Classifier;
  readonly memory: MemoryManager;
}

/** The models of this server, as jobs use them. */
export class ServerModels implements JobModels {
  readonly #parts: JobModelParts;
  /** Models that are looked for now. */
  readonly #looking = new Set<string>();

  constructor(parts: JobModelParts) {
    this.#parts = parts;
  }

  /**
   * 1. Memory is under pressure: callers come first.
   * 2. The model is not known here: it is looked for, as another server may have it. Where it is not, this one does not take the job.
   */
  mayRun(model: string): boolean {
    const { memory, repository } = this.#parts;
    if (memory.reader.level !== 'normal' || memory.holding.size > 0) return false; // 1
    if (repository.known(model) !== undefined) return true;
    this.#lookFor(model); // 2
    return false;
  }

  async about(model: string) {
    const { library, repository } = this.#parts;
    // What preparing has found out counts, where it has been prepared.
    const found: Model = library.readyNow(model)?.model ?? (await repository.find(model));
    const { id, dtype, description, directory } = found;
    return { id, dtype, description, commit: hubOriginOf(directory)?.commit ?? null };
  }

  async answers<R>(
    of: { readonly model: string; readonly task: RowTask<R>; readonly user: string },
    signal: AbortSignal,
  ): Promise<readonly R[]> {
    return (await this.#parts.classifier.classify({ ...of, isJob: true }, { signal })).results;
  }

  #lookFor(model: string): void {
    if (this.#looking.has(model)) return;
    this.#looking.add(model);
    const done = () => this.#looking.delete(model);
    this.#parts.repository.find(model).then(done, done);
  }
}
