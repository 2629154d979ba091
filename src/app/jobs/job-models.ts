import type { Classifier } from '../../inference/classify.js';
import { loadNeed } from '../../inference/loads/model-handles.js';
import type { RowTask } from '../../inference/row-task.js';
import type { JobModel } from '../../jobs/queue/queue.js';
import { otherModel } from '../../jobs/run/other-model.js';
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
   * 2. The model is not known here: it is looked for. Another server may have it.
   * 3. It would not fit into this server's memory even alone.
   * 4. The model has another commit or dtype than the job began with.
   */
  whyNot(model: string, of: JobModel | null): string | undefined {
    const { memory, repository, library } = this.#parts;
    const { level } = memory.reader;
    if (level !== 'normal' || memory.holding.size > 0) {
      return `memory of this server is under pressure (${level}), and callers come first`; // 1
    }
    const ready = library.readyNow(model);
    const known = ready?.model ?? repository.known(model);
    if (known === undefined) {
      this.#lookFor(model); // 2
      return `a server that has the model ${model}: this one does not`;
    }
    const tooLarge = ready && memory.admission.neverFits(loadNeed(ready));
    if (tooLarge !== undefined) return `a server with more memory: ${tooLarge.message}`; // 3
    return of === null ? undefined : otherModel(of, modelOf(known)); // 4
  }

  async about(model: string) {
    const { library, repository } = this.#parts;
    // What preparing has found out counts, where it has been prepared.
    const found: Model = library.readyNow(model)?.model ?? (await repository.find(model));
    return { ...modelOf(found), description: found.description };
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

function modelOf({ id, dtype, directory }: Model): JobModel {
  return { id, dtype, commit: hubOriginOf(directory)?.commit ?? null };
}
