import { settledWithin } from '../system/time-limit.js';
import type { MappedForm, MappedForms } from './compile/mapped-form.js';
import type { Preparer } from './compile/preparer.js';
import { describe } from './intake/description.js';
import { hangingDisk, LOOK_HANGS_MS, silentFor } from './intake/looks.js';
import type { Model, ModelRepository } from './intake/repository.js';
import { readingOf } from './run/serving-plan.js';

/** A model with its mapped form: everything that a worker needs to open it. */
export interface ReadyModel {
  readonly model: Model;
  readonly form: MappedForm;
}

/** What a look at a model's files on disk has found. */
interface Look {
  readonly model: Model;
  /** The entry that still holds. */
  readonly entry: Entry | undefined;
  /** What is wrong with the form of an entry whose files are the same. */
  readonly fault: string | undefined;
}

/** How long a look at a model's files on disk holds good, counted from its begin. */
const RECHECK_MS = 2000;
/** A model that is used is looked at again after this long, beside its requests: none of them waits for the disk. */
const LOOK_AHEAD_MS = 1000;

/** A look takes milliseconds. A model that is ready is served as it was last seen when a look takes longer. */
const LOOK_WAIT_MS = 500;

interface Entry extends ReadyModel {
  checkedAtMs: number;
}

/** Hands out models that are ready to open, and notices when their files change. */
export class ModelLibrary {
  readonly #repository: ModelRepository;
  readonly #forms: MappedForms;
  readonly #preparer: Preparer;
  readonly #now: () => number;
  readonly #ready = new Map<string, Entry>();
  /** Looks that are under way, by the name that was asked for, oldest first. */
  readonly #looks = new Map<string, { readonly sinceMs: number; readonly look: Promise<Look> }>();

  constructor(parts: {
    readonly repository: ModelRepository;
    readonly forms: MappedForms;
    readonly preparer: Preparer;
    readonly now?: () => number;
  }) {
    this.#repository = parts.repository;
    this.#forms = parts.forms;
    this.#preparer = parts.preparer;
    this.#now = parts.now ?? performance.now.bind(performance);
  }

  /** The model, if it was looked at a moment ago; {@link ready} otherwise. */
  readyNow(id: string): ReadyModel | undefined {
    const entry = this.#entryOf(id);
    if (entry === undefined) return undefined;
    const ageMs = this.#now() - entry.checkedAtMs;
    if (ageMs >= RECHECK_MS) return this.#oldestLookMs() >= LOOK_WAIT_MS ? entry : undefined;
    // What it finds wrong is told to who asks when this one is no longer good.
    if (ageMs >= LOOK_AHEAD_MS) this.#lookAt(entry.model.id).catch(() => undefined);
    return entry;
  }

  /** Why models are served as they were last seen; empty if their files can be looked at. */
  get blindBecause(): string {
    const ms = this.#oldestLookMs();
    if (ms < LOOK_HANGS_MS) return '';
    return `${silentFor(ms)}; models that are ready are served as they were last seen`;
  }

  #entryOf(id: string): Entry | undefined {
    return this.#ready.get(id) ?? this.#ready.get(this.#repository.idOf(id));
  }

  #oldestLookMs(): number {
    for (const { sinceMs } of this.#looks.values()) return this.#now() - sinceMs;
    return 0;
  }

  /**
   * The model, prepared. Costs nothing for a model that was looked at a moment ago.
   *
   * @throws PlimsollError MODEL_NOT_FOUND, MODEL_UNUSABLE, INSUFFICIENT_MEMORY, STORAGE_UNAVAILABLE
   */
  async ready(id: string): Promise<ReadyModel> {
    const known = this.readyNow(id);
    if (known !== undefined) return known;
    const looking = this.#lookAt(id);
    const last = this.#entryOf(id);
    if (!(await settledWithin(looking, last === undefined ? LOOK_HANGS_MS : LOOK_WAIT_MS))) {
      if (last !== undefined) return last;
      throw hangingDisk(silentFor(LOOK_HANGS_MS));
    }
    const { model, entry, fault } = await looking;
    if (entry !== undefined && fault === undefined && this.#ready.get(model.id) === entry) {
      return entry;
    }
    if (entry !== undefined && fault !== undefined) {
      await this.#preparer.replace(entry.model, entry.form, fault);
    }
    return this.#adopt(model, await this.#preparer.ensure(model));
  }

  /**
   * Joins the look that is under way, or begins one; none while another one hangs.
   *
   * @throws PlimsollError STORAGE_UNAVAILABLE
   */
  #lookAt(id: string): Promise<Look> {
    const known = this.#looks.get(id);
    if (known !== undefined) return known.look;
    const reason = this.blindBecause;
    if (reason !== '') return Promise.reject(hangingDisk(reason));
    const look = this.#look(id).finally(() => this.#looks.delete(id));
    this.#looks.set(id, { sinceMs: this.#now(), look });
    // Whoever waited for it may have been served what was known.
    look.catch(() => undefined);
    return look;
  }

  /** Reads the disk, and changes nothing on it. */
  async #look(id: string): Promise<Look> {
    const beganMs = this.#now();
    const model = await this.#repository.refresh(id);
    const last = this.#ready.get(model.id);
    if (last === undefined || last.model.signature !== model.signature) {
      return { model, entry: undefined, fault: undefined };
    }
    const entry = last.model.directory === model.directory ? last : this.#moved(last, model);
    const fault = await this.#preparer.faultOf(entry.form, 'sizes');
    if (fault === undefined) entry.checkedAtMs = beganMs;
    return { model, entry, fault };
  }

  /**
   * The same files in another folder: a new snapshot in a hub's cache links to what has not changed. The form still holds; the
   * folder that the model had may be removed, and the tokenizer's files with it.
   */
  #moved({ form, checkedAtMs }: Entry, model: Model): Entry {
    const entry = { model: withFindings(model, form), form, checkedAtMs };
    this.#ready.set(model.id, entry);
    return entry;
  }

  /** The model with its fp32 form where a fast form serves, to compare with; undefined if it has changed meanwhile. */
  async referenceOf({ model: { id }, form }: ReadyModel): Promise<ReadyModel | undefined> {
    const entry = this.#ready.get(id);
    if (entry?.form.digest !== form.digest) return undefined;
    const reference = await this.#forms.referenceOf(form);
    return reference && { model: entry.model, form: reference };
  }

  /** Takes the model back to fp32: the form that serves disagrees with it. */
  async revoke({ model, form }: ReadyModel, reason: string): Promise<void> {
    const exact = await this.#preparer.revoke(model, form, reason);
    const entry = this.#ready.get(model.id);
    if (entry?.form.instance !== form.instance) return;
    // The model as it is now, which may have moved to another folder. Until it is measured its memory is planned with
    // what the fast form takes.
    this.#adopt(entry.model, { ...exact, footprint: { ...form.footprint, ...exact.footprint } });
  }

  /**
   * Call it when a worker could not open the model: if its form is damaged, it is removed, and the next {@link ready}
   * makes it anew.
   *
   * @returns whether it was damaged
   * @throws PlimsollError STORAGE_UNAVAILABLE
   */
  async removeIfDamaged({ model, form }: ReadyModel): Promise<boolean> {
    if (this.#ready.get(model.id)?.form.instance !== form.instance) return true;
    const fault = await this.#preparer.faultOf(form, 'contents');
    if (fault !== undefined) await this.#preparer.replace(model, form, fault);
    return fault !== undefined;
  }

  /** Forgets a form that was found damaged. */
  forget(id: string, { instance }: MappedForm): void {
    if (this.#ready.get(id)?.form.instance === instance) this.#ready.delete(id);
  }

  /** Private bytes that one loaded copy of the model holds between batches, as measured. */
  heldBytesOf(id: string): number {
    const footprint = this.#ready.get(id)?.form.footprint;
    return footprint?.privateAfterBatchBytes ?? footprint?.privateAfterLoadBytes ?? 0;
  }

  /** What the hot gear of the model was measured to cost and save, if it was. */
  hotGearOf(id: string) {
    const footprint = this.#ready.get(id)?.form.footprint;
    if (footprint?.hot === undefined) return undefined;
    const { shiftMs, savedMsPerRun, peakBytes } = footprint.hot;
    const held = this.heldBytesOf(id);
    const privateBytes = Math.max(0, peakBytes - held);
    return { shiftMs, savedMsPerRun, privateBytes, prepackedBytes: footprint.prepackedBytes };
  }

  /** Settles when no measurement runs in the background any more. */
  measured(): Promise<void> {
    return this.#preparer.measured();
  }

  /** Takes newer measurements, unless the model has changed meanwhile. */
  remeasured(model: Model, form: MappedForm): void {
    const entry = this.#ready.get(model.id);
    const isSame = entry?.model.signature === model.signature;
    // A form that was replaced meanwhile has measurements of its own.
    if (isSame && entry.form.instance === form.instance) this.#adopt(entry.model, form);
  }

  #adopt(found: Model, form: MappedForm): ReadyModel {
    const model = withFindings(found, form);
    const entry = { model, form, checkedAtMs: this.#now() };
    this.#ready.set(model.id, entry);
    return entry;
  }

  /** Why the model as it is now could not be prepared, if that was tried. */
  failureOf(model: Model): string | undefined {
    return this.#preparer.failureOf(model);
  }

  /** The mapped form, if the model has been prepared, now or in an earlier run. */
  async formOf(model: Model): Promise<MappedForm | undefined> {
    const entry = this.#ready.get(model.id);
    if (entry?.model.signature === model.signature) return entry.form;
    return this.#forms.current(model);
  }
}

/** The model as it is served: its files say what it should be, preparing has found out what it is. */
export function withFindings(model: Model, { findings }: MappedForm): Model {
  const measured = { ...findings, ...readingOf(findings.plan) };
  const [graph, ...rest] = model.description.decisions.filter(
    ({ about }) => about === 'graph' || about === 'graph left out',
  );
  const description = describe(model.declaration, measured);
  const chosen = graph === undefined ? [] : [graph, ...rest];
  return {
    ...model,
    description: { ...description, decisions: [...chosen, ...description.decisions] },
  };
}
