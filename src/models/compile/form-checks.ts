import type { MappedForm } from './mapped-form.js';
import type { PreparerProcesses } from './preparer-processes.js';

/** Time for which contents that were right count as right. */
const RECENT_MS = 60_000;

/**
 * Compares the contents of the forms with what was written: each once in a run of the server, one after the other, by a
 * process at the lowest priority.
 */
export class FormChecks {
  readonly #processes: PreparerProcesses;
  readonly #running = new Map<string, Promise<string | undefined>>();
  /** Instances whose contents were right, and when. */
  readonly #checkedAtMs = new Map<string, number>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(processes: PreparerProcesses) {
    this.#processes = processes;
  }

  /** Notes a form that was written in this run: its digests were made from what was written. */
  written({ instance }: MappedForm): void {
    this.#checkedAtMs.set(instance, performance.now());
  }

  /** Whether its contents were found right a moment ago: who cannot open it need not read it again and again. */
  isRecent({ instance }: MappedForm): boolean {
    return performance.now() - (this.#checkedAtMs.get(instance) ?? -Infinity) < RECENT_MS;
  }

  /** Checks the form unless that was done in this run. @param onFault what is wrong */
  begin(
    form: MappedForm,
    onFault: (fault: string) => void,
    onError: (error: unknown) => void,
  ): void {
    if (this.#checkedAtMs.has(form.instance) || this.#running.has(form.instance)) return;
    this.check(form).then((fault) => {
      if (fault !== undefined) onFault(fault);
    }, onError);
  }

  /** What is wrong with the form, read now; callers who ask meanwhile share the reading. @throws PlimsollError */
  check(form: MappedForm): Promise<string | undefined> {
    const { directory, files, instance } = form;
    const running = this.#running.get(instance);
    if (running !== undefined) return running;
    const ask = () => this.#processes.ask({ job: 'check', directory, files }, 'checked');
    const work = this.#turn.then(ask).then(({ fault }) => {
      if (fault === undefined) this.#checkedAtMs.set(instance, performance.now());
      return fault;
    });
    const ended = work.finally(() => this.#running.delete(instance));
    this.#turn = ended.catch(() => undefined);
    this.#running.set(instance, ended);
    return ended;
  }

  /** Settles when nothing is being checked. */
  async settled(): Promise<void> {
    await this.#turn;
  }
}
