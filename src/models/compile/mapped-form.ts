import { createHash, randomBytes } from 'node:crypto';
import { rename, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { systemCodeOf } from '../../errors.js';
import { folderNameOfForm } from '../intake/folder/names.js';
import type { Model } from '../intake/repository.js';
import type { Findings } from '../run/serving-plan.js';
import { checksumsOf, type FormFile, faultOfSizes } from './forms/checksums.js';
import { readFindings } from './forms/findings.js';
import { type HeldLock, lockFolder, tryLock } from './forms/folder-lock.js';
import {
  FORMAT_VERSION,
  folderNameOf,
  MANIFEST,
  type Manifest,
  readManifest,
} from './forms/manifest.js';
import { prepackedBytesIn } from './forms/prepacked.js';
import { SourceDigests } from './forms/source-digests.js';
import {
  bytesOf,
  namesIn,
  readObject,
  replaceFile,
  syncFolder,
  writeSynced,
} from './forms/written-files.js';
import { asVerdict, type Verdict } from './verify/verdict.js';

export { runtimeKey } from './forms/manifest.js';

const FOOTPRINT = 'footprint.json';
const FINDINGS = 'findings.json';
/** Folders that are being written, and being removed. Whoever holds the lock of the model may remove either. */
const PARTIAL = '.partial-';
const GONE = '.gone-';
const FORM_NAME = /^[0-9a-f]{16}$/;

const HOUR_MS = 3_600_000;
/** A form that no server has used for this long is removed: 30 days. */
const KEEP_UNUSED_MS = 30 * 24 * HOUR_MS;

/** What a model was measured to take. `undefined`: not measured yet. */
export interface Footprint {
  readonly sourceBytes: number;
  /** Bytes of the graph and of the weights as the cold gear maps them. */
  readonly mappedBytes: number;
  /** Bytes of the weights that the hot gear maps instead, and reads on opening beside the cold ones. */
  readonly prepackedBytes: number;
  /** Time to open it in a process that has ONNX Runtime loaded already. */
  readonly loadMs?: number;
  /** Private bytes that opening it added to the process. */
  readonly privateAfterLoadBytes?: number;
  /** CPU time of a run without ONNX Runtime's arena ÷ with it. */
  readonly arenaSpeedup?: number;
  /** Private bytes that opening it and running one full batch added, opened as it will be. */
  readonly privateAfterBatchBytes?: number;
  /** Most private bytes that the process had above its start while the full batch ran. */
  readonly peakBytes?: number;
  /** What the hot gear was measured to cost and to save. */
  readonly hot?: HotGear;
}

/** The hot gear as measured, against the cold one in the same process. */
export interface HotGear {
  /** Time to open it and to run it once; the worker does nothing else meanwhile. */
  readonly shiftMs: number;
  /** Time that one run takes less than in the cold gear; about the same for every batch. */
  readonly savedMsPerRun: number;
  /** Most private bytes above the process's start, with the cold gear still open. */
  readonly peakBytes: number;
}

/** A speed-up from which the arena is worth the memory that it holds while the model is loaded. */
const ARENA_WORTH = 1.15;

/** Whether the model is opened with ONNX Runtime's arena; not before that was measured. */
export function usesArena({ arenaSpeedup }: Pick<Footprint, 'arenaSpeedup'>): boolean {
  return arenaSpeedup !== undefined && arenaSpeedup >= ARENA_WORTH;
}

/** A model that is ready to be mapped. */
export interface MappedForm {
  readonly directory: string;
  readonly graphFile: string;
  /** Another one in its place, of the same digest, has another instance; so has the fast form beside an fp32 form. */
  readonly instance: string;
  /** The files that must be there, with their sizes and digests. */
  readonly files: readonly FormFile[];
  /** SHA-256 over the model's files: the same digest gives the same answers. */
  readonly digest: string;
  readonly footprint: Footprint;
  /** How it has to be served, as was found out when it was made. */
  readonly findings: Findings;
  /** Set where faster forms were tried: which one serves, and why. */
  readonly verdict?: Verdict;
}

/** Names of the files inside a mapped form. */
export const MAPPED_GRAPH = 'model.onnx';
export const MAPPED_WEIGHTS = 'weights.bin';
/** The folder of the fast form inside of that of the fp32 form. */
export const FAST_FORM = 'fast';
const VERDICT = 'verdict.json';
const FAST_INSTANCE = '-fast';

/** What is found on disk for a state of a model's files. */
export type FoundForm =
  | { readonly state: 'none' }
  | { readonly state: 'whole'; readonly form: MappedForm }
  | { readonly state: 'damaged'; readonly directory: string; readonly reason: string };

/** What a preparer has written. */
export interface WrittenForm {
  readonly digest: string;
  readonly findings: Findings;
  /** Graph and weights, also of a fast form. */
  readonly files: readonly FormFile[];
  /** Which form serves; it is kept beside the forms, as it may change. */
  readonly verdict?: Verdict | undefined;
}

/**
 * Where the mapped forms lie: a folder for each model, and in it one for each state of its files, each runtime and each
 * kind of CPU. Several servers may share it.
 */
export class MappedForms {
  readonly root: string;
  /** Digests of the models' files, as far as they are known. */
  readonly digests: SourceDigests;
  readonly #runtime: string;
  readonly #touchedAtMs = new Map<string, number>();

  /** @param runtime {@link runtimeKey}: forms that were made for another one are left alone. */
  constructor(dataDirectory: string, runtime: string) {
    this.root = path.resolve(dataDirectory, 'mapped');
    this.#runtime = runtime;
    this.digests = new SourceDigests((model) => this.folderOf(model));
  }

  folderOf(model: Model): string {
    // Each type of weights has a place of its own; no such name holds an @.
    const suffix = model.dtype === 'fp32' ? suffixOf(model.verification) : `@${model.dtype}`;
    return path.join(this.root, `${folderNameOfForm(model.id)}${suffix}`);
  }

  /** A fresh folder name to write a form into before it is renamed into place. Write only under {@link lock}. */
  partialFolderOf(model: Model): string {
    return path.join(this.folderOf(model), `${PARTIAL}${randomBytes(6).toString('hex')}`);
  }

  /** The form that fits the model as it is on disk now, if its digest is known and the form is whole. */
  async current(model: Model): Promise<MappedForm | undefined> {
    const digest = await this.digests.known(model);
    if (digest === undefined) return undefined;
    const found = await this.find(model, digest);
    return found.state === 'whole' ? found.form : undefined;
  }

  /** Whether forms of the model lie here, for whatever state of its files. */
  async hasAny(model: Model): Promise<boolean> {
    return (await namesIn(this.folderOf(model))).some((name) => FORM_NAME.test(name));
  }

  /**
   * Looks for the form of the files with that digest. Its sizes are checked, its contents are not.
   *
   * @throws Error if the folder cannot be read.
   */
  async find(model: Model, digest: string): Promise<FoundForm> {
    const signature = { digest, runtime: this.#runtime };
    const name = folderNameOf(signature);
    if (!(await namesIn(this.folderOf(model))).includes(name)) return { state: 'none' };
    const directory = path.join(this.folderOf(model), name);
    const damaged = (reason: string) => ({ state: 'damaged', directory, reason }) as const;
    const manifest = await readManifest(directory);
    if (manifest?.digest !== digest || manifest.runtime !== this.#runtime) {
      return damaged(`${MANIFEST} is missing or broken`);
    }
    const fault = await faultOfSizes(directory, manifest.files);
    if (fault !== undefined) return damaged(fault);
    const findings = await readFindings(path.join(directory, FINDINGS));
    if (findings === undefined) return damaged(`${FINDINGS} is missing or broken`);
    await this.touch(directory);
    const form = await this.#form(directory, manifest, model, findings);
    return { state: 'whole', form };
  }

  /** What is wrong with the sizes of a form's files now; undefined if nothing is. Opens no file. */
  async faultOf({ directory, files }: MappedForm): Promise<string | undefined> {
    const fault = await faultOfSizes(directory, files);
    if (fault === undefined) await this.touch(directory);
    return fault;
  }

  /** The lock under which forms of the model are written; undefined if another server still had it after `waitMs`. */
  lock(model: Model, waitMs: number, signal: AbortSignal): Promise<HeldLock | undefined> {
    return lockFolder(this.folderOf(model), { waitMs, signal });
  }

  /**
   * Puts a written form into place: everything is on disk before the rename, so that a kill at any moment leaves either
   * no form or a whole one. If another server was faster, its form is taken.
   *
   * @param replaced instance of a form that this one takes the place of
   */
  async publish(
    model: Model,
    partial: string,
    written: WrittenForm,
    replaced?: string,
  ): Promise<MappedForm> {
    const { digest, findings } = written;
    await writeSynced(path.join(partial, FINDINGS), JSON.stringify(findings, null, 2));
    if (written.verdict !== undefined) {
      await writeSynced(path.join(partial, VERDICT), JSON.stringify(written.verdict, null, 2));
    }
    const manifest: Manifest = {
      ...{ formatVersion: FORMAT_VERSION, digest, runtime: this.#runtime },
      instance: randomBytes(12).toString('hex'),
      files: [...written.files, ...(await checksumsOf(partial, [FINDINGS]))],
    };
    await writeSynced(path.join(partial, MANIFEST), JSON.stringify(manifest, null, 2));
    await syncFolder(partial);
    const directory = path.join(this.folderOf(model), folderNameOf(manifest));
    try {
      await rename(partial, directory);
    } catch (error) {
      const code = systemCodeOf(error);
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
      const found = await this.find(model, digest);
      if (found.state === 'whole' && found.form.instance !== replaced) {
        await rm(partial, { recursive: true, force: true });
        return found.form;
      }
      await this.#moveAway(directory);
      await rename(partial, directory);
    }
    await syncFolder(this.folderOf(model));
    await this.#removeUnused(this.folderOf(model));
    return this.#form(directory, manifest, model, findings);
  }

  /** Removes a damaged form, unless another server has put a new one into its place. Workers keep what they have mapped. */
  async remove({
    directory,
    instance,
  }: {
    readonly directory: string;
    readonly instance?: string;
  }): Promise<void> {
    const there = await readManifest(directory);
    const isAnother =
      there !== undefined && instance !== undefined && !isOf(instance, there.instance);
    if (!isAnother) await this.#moveAway(directory);
  }

  /** Keeps what was measured beside the form. */
  async saveFootprint(form: MappedForm, footprint: Footprint): Promise<MappedForm> {
    const file = path.join(path.dirname(form.graphFile), FOOTPRINT);
    const unique = randomBytes(6).toString('hex');
    await replaceFile(file, JSON.stringify(footprint, null, 2), unique);
    return { ...form, footprint };
  }

  /** The fp32 form beside a fast one; undefined if the form is gone. */
  async referenceOf(form: MappedForm): Promise<MappedForm | undefined> {
    const findings = await readFindings(path.join(form.directory, FINDINGS));
    const manifest = await readManifest(form.directory);
    if (findings === undefined || manifest === undefined) return undefined;
    const { instance, digest } = manifest;
    if (!isOf(form.instance, instance)) return undefined;
    const graphFile = path.join(form.directory, MAPPED_GRAPH);
    const exact = { graphFile, digest, instance };
    return { ...form, ...exact, findings };
  }

  /** The form under another verdict: the fp32 form serves from now on. */
  async saveVerdict(model: Model, form: MappedForm, verdict: Verdict): Promise<MappedForm> {
    const unique = randomBytes(6).toString('hex');
    const file = path.join(form.directory, VERDICT);
    await replaceFile(file, JSON.stringify(verdict, null, 2), unique);
    return (await this.current(model)) ?? form;
  }

  /**
   * Removes what servers that are gone have left behind, and forms that nobody uses any more. A folder whose lock is held
   * is left alone: its server lives. So is one that cannot be written.
   */
  async removeLeftovers(): Promise<void> {
    for (const name of await namesIn(this.root)) {
      const folder = path.join(this.root, name);
      const lock = await tryLock(folder).catch(() => undefined);
      if (lock === undefined) continue;
      try {
        await this.removeUnfinished(folder);
        await this.#removeUnused(folder);
      } catch {
        // What cannot be removed does no harm.
      } finally {
        await lock.release();
      }
    }
  }

  /** Removes what lies unfinished in a model's folder; only under its {@link lock}. */
  async removeUnfinished(folder: string): Promise<void> {
    for (const name of await namesIn(folder)) {
      if (!name.startsWith(PARTIAL) && !name.startsWith(GONE)) continue;
      await rm(path.join(folder, name), { recursive: true, force: true });
    }
  }

  /** Removes the model's forms that no server has used today: for a disk that is nearly full. */
  makeRoom(model: Model): Promise<void> {
    return this.#removeUnused(this.folderOf(model), 24 * HOUR_MS);
  }

  /** Notes that the form is in use, at most once an hour. */
  async touch(directory: string): Promise<void> {
    const now = Date.now();
    if (now - (this.#touchedAtMs.get(directory) ?? 0) < HOUR_MS) return;
    this.#touchedAtMs.set(directory, now);
    const at = new Date(now);
    // A folder that is only read from keeps its forms anyway.
    await utimes(path.join(directory, MANIFEST), at, at).catch(() => undefined);
  }

  async #form(
    directory: string,
    { digest, instance, files }: Manifest,
    model: Model,
    findings: Findings,
  ): Promise<MappedForm> {
    const verdict = asVerdict(await readObject(path.join(directory, VERDICT)));
    const isFast = verdict?.serves === 'fast';
    const folder = isFast ? path.join(directory, FAST_FORM) : directory;
    const graphFile = path.join(folder, MAPPED_GRAPH);
    const allBytes = await bytesOf(folder, [MAPPED_GRAPH, MAPPED_WEIGHTS]);
    const prepackedBytes = await prepackedBytesIn(graphFile);
    const mappedBytes = allBytes - prepackedBytes;
    const measured = (await readObject(path.join(folder, FOOTPRINT))) ?? {};
    const footprint = {
      ...measured,
      ...{ sourceBytes: model.sourceBytes, mappedBytes, prepackedBytes },
    };
    const plan = (isFast ? verdict.plan : undefined) ?? findings.plan;
    return {
      ...{ directory, graphFile, files, footprint, findings: { ...findings, plan } },
      instance: isFast ? `${instance}${FAST_INSTANCE}` : instance,
      // Other answers need another digest: results are cached under it.
      digest: isFast ? fastDigest(digest, verdict.digest) : digest,
      ...(verdict === undefined ? {} : { verdict }),
    };
  }

  /** Forms for other files, runtimes and CPUs may be another server's: they go only when nobody has used them for long. */
  async #removeUnused(folder: string, unusedMs = KEEP_UNUSED_MS): Promise<void> {
    for (const name of await namesIn(folder)) {
      const directory = path.join(folder, name);
      if (!FORM_NAME.test(name)) continue;
      const of = await stat(path.join(directory, MANIFEST)).catch(() => stat(directory));
      if (Date.now() - of.mtimeMs > unusedMs) await this.#moveAway(directory);
    }
  }

  /** Removes a form in one step, as others see it. */
  async #moveAway(directory: string): Promise<void> {
    const gone = path.join(path.dirname(directory), `${GONE}${randomBytes(6).toString('hex')}`);
    try {
      await rename(directory, gone);
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return;
      throw error;
    }
    await rm(gone, { recursive: true, force: true });
  }
}

/** A verdict holds for its bounds: forms that were judged by others have a folder of their own. */
function suffixOf(verification: Model['verification']): string {
  if (verification === undefined) return '';
  const { labels, shift, speedup } = verification.bounds;
  return `@auto-${labels}-${shift}-${speedup}`;
}

/** Whether it is the instance of the manifest, or of the fast form beside it. */
function isOf(instance: string, written: string): boolean {
  return instance === written || instance === `${written}${FAST_INSTANCE}`;
}

function fastDigest(reference: string, fast = ''): string {
  return createHash('sha256').update(`${reference}\n${fast}`).digest('hex');
}
