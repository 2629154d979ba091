import { createHash } from 'node:crypto';
import { readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { systemCodeOf } from '../../errors.js';
import { cpuFlags, cpuModel } from '../../system/cpus.js';
import { folderNameOfForm } from '../intake/folder/names.js';
import type { Model } from '../intake/repository.js';
import type { Findings } from '../run/serving-plan.js';
import { asVerdict, type Verdict } from './verify/verdict.js';
import { bytesOf, isAlive, namesIn, readObject, syncFolder, writeSynced } from './written-files.js';

/** Raise it when the way a mapped form is written changes: older ones are then made anew. */
const FORMAT_VERSION = 6;
const MANIFEST = 'manifest.json';
const FOOTPRINT = 'footprint.json';
const FINDINGS = 'findings.json';
const PARTIAL = '.partial-';

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
  /** SHA-256 over the model's files: the same digest gives the same answers. */
  readonly digest: string;
  readonly footprint: Footprint;
  /** How it has to be served, as was found out when it was made. */
  readonly findings: Findings;
  /** Set where faster forms were tried: which one serves, and why. */
  readonly verdict?: Verdict;
}

/** What a mapped form was made from, with what, and for which CPU. */
interface Manifest {
  readonly formatVersion: number;
  readonly digest: string;
  readonly signature: string;
  readonly runtime: string;
}

/** Names of the files inside a mapped form. */
export const MAPPED_GRAPH = 'model.onnx';
export const MAPPED_WEIGHTS = 'weights.bin';
/** The folder of the fast form inside of that of the fp32 form. */
export const FAST_FORM = 'fast';
const VERDICT = 'verdict.json';

/** The ONNX Runtime version and the CPU: an optimised graph is good for this pair only. */
export async function runtimeKey(): Promise<string> {
  const require = createRequire(import.meta.url);
  const manifest: unknown = require('onnxruntime-node/package.json');
  const version =
    typeof manifest === 'object' && manifest !== null && 'version' in manifest
      ? String(manifest.version)
      : 'unknown';
  const [model, flags] = await Promise.all([cpuModel(), cpuFlags()]);
  return `onnxruntime ${version}; ${process.arch}; ${model}; ${flags.join(' ')}`;
}

/** Where the mapped forms of a model lie: one folder for each state of its files. */
export class MappedForms {
  readonly #root: string;
  readonly #runtime: string;

  /** @param runtime {@link runtimeKey}: forms that were made for another one are not used. */
  constructor(dataDirectory: string, runtime: string) {
    this.#root = path.resolve(dataDirectory, 'mapped');
    this.#runtime = runtime;
  }

  folderOf(model: Model): string {
    // Each type of weights has a place of its own; no such name holds an @.
    const dtype = model.verification === undefined ? model.dtype : 'auto';
    const suffix = dtype === 'fp32' ? '' : `@${dtype}`;
    return path.join(this.#root, `${folderNameOfForm(model.id)}${suffix}`);
  }

  /** A fresh folder name to write a form into before it is renamed into place. */
  partialFolderOf(model: Model): string {
    const unique = `${process.pid}-${Date.now().toString(36)}`;
    return path.join(this.folderOf(model), `${PARTIAL}${unique}`);
  }

  /** The form that fits the model as it is on disk now, if there is one. */
  async current(model: Model): Promise<MappedForm | undefined> {
    for (const name of await namesIn(this.folderOf(model))) {
      if (name.startsWith(PARTIAL)) continue;
      const directory = path.join(this.folderOf(model), name);
      const manifest = await readManifest(directory);
      if (
        manifest?.formatVersion === FORMAT_VERSION &&
        manifest.signature === model.signature &&
        manifest.runtime === this.#runtime
      ) {
        const findings = await readObject(path.join(directory, FINDINGS));
        // It is on disk before the form has its name, so that only a hand from outside takes it away.
        if (findings === undefined) continue;
        return this.#form(directory, manifest, model, findings as unknown as Findings);
      }
    }
    return undefined;
  }

  /**
   * Puts a written form into place: everything is on disk before the rename, so that a kill at
   * any moment leaves either no form or a whole one. Older forms of the model are then removed.
   */
  async publish(
    model: Model,
    partial: string,
    { digest, findings }: { readonly digest: string; readonly findings: Findings },
    verdict?: Verdict,
  ): Promise<MappedForm> {
    const manifest: Manifest = {
      formatVersion: FORMAT_VERSION,
      digest,
      signature: model.signature,
      runtime: this.#runtime,
    };
    await writeSynced(path.join(partial, FINDINGS), JSON.stringify(findings, null, 2));
    if (verdict !== undefined) {
      await writeSynced(path.join(partial, VERDICT), JSON.stringify(verdict, null, 2));
    }
    await writeSynced(path.join(partial, MANIFEST), JSON.stringify(manifest, null, 2));
    await syncFolder(partial);
    const key = createHash('sha256')
      .update(`${FORMAT_VERSION}\n${digest}\n${model.signature}\n${this.#runtime}`)
      .digest('hex')
      .slice(0, 16);
    const directory = path.join(this.folderOf(model), key);
    await this.#moveIntoPlace(partial, directory);
    await syncFolder(this.folderOf(model));
    await this.#removeOthers(model, key);
    return this.#form(directory, manifest, model, findings);
  }

  async #moveIntoPlace(partial: string, directory: string): Promise<void> {
    try {
      await rename(partial, directory);
    } catch (error) {
      const code = systemCodeOf(error);
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
      // Another server on the same data folder was faster, or an earlier one left a broken form.
      const whole = (await readManifest(directory)) !== undefined;
      await rm(whole ? partial : directory, { recursive: true, force: true });
      if (!whole) await rename(partial, directory);
    }
  }

  /** Keeps what was measured beside the form. */
  async saveFootprint(form: MappedForm, footprint: Footprint): Promise<MappedForm> {
    const file = path.join(path.dirname(form.graphFile), FOOTPRINT);
    const beside = `${file}.${process.pid}`;
    await writeSynced(beside, JSON.stringify(footprint, null, 2));
    await rename(beside, file);
    return { ...form, footprint };
  }

  /** The fp32 form beside a fast one; undefined if the form is gone. */
  async referenceOf(form: MappedForm): Promise<MappedForm | undefined> {
    const findings = await readObject(path.join(form.directory, FINDINGS));
    const manifest = await readManifest(form.directory);
    if (findings === undefined || manifest === undefined) return undefined;
    const graphFile = path.join(form.directory, MAPPED_GRAPH);
    return {
      ...form,
      graphFile,
      digest: manifest.digest,
      findings: findings as unknown as Findings,
    };
  }

  /** The form under another verdict: the fp32 form serves from now on. */
  async saveVerdict(model: Model, form: MappedForm, verdict: Verdict): Promise<MappedForm> {
    const file = path.join(form.directory, VERDICT);
    const beside = `${file}.${process.pid}`;
    await writeSynced(beside, JSON.stringify(verdict, null, 2));
    await rename(beside, file);
    return (await this.current(model)) ?? form;
  }

  /**
   * Removes what servers that were killed have left behind. To be called before anything is
   * prepared: what bears our own process id is then an earlier server's (in a container every
   * server has the same one).
   */
  async removeLeftovers(): Promise<void> {
    for (const model of await namesIn(this.#root)) {
      for (const name of await namesIn(path.join(this.#root, model))) {
        const owner = Number(name.slice(PARTIAL.length).split('-')[0]);
        const isInUse = owner !== process.pid && isAlive(owner);
        if (!name.startsWith(PARTIAL) || isInUse) continue;
        await rm(path.join(this.#root, model, name), { recursive: true, force: true });
      }
    }
  }

  async #form(
    directory: string,
    manifest: Manifest,
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
    // Other answers need another digest: results are cached under it.
    const digest = isFast ? fastDigest(manifest.digest, verdict.digest) : manifest.digest;
    const plan = (isFast ? verdict.plan : undefined) ?? findings.plan;
    return {
      ...{ directory, graphFile, digest, footprint, findings: { ...findings, plan } },
      ...(verdict === undefined ? {} : { verdict }),
    };
  }

  async #removeOthers(model: Model, key: string): Promise<void> {
    for (const name of await namesIn(this.folderOf(model))) {
      if (name === key || name.startsWith(PARTIAL)) continue;
      // Workers that still map the old files keep them until they unload.
      await rm(path.join(this.folderOf(model), name), { recursive: true, force: true });
    }
  }
}

function fastDigest(reference: string, fast = ''): string {
  return createHash('sha256').update(`${reference}\n${fast}`).digest('hex');
}

/**
 * Bytes of the weights that were written in the kernels' own layout. ONNX Runtime notes them in the graph,
 * beside the weight that they are of: `prepacked_0`, then `MatMul+HASH|OFFSET;LENGTH;CHECKSUM|…`.
 */
async function prepackedBytesIn(graphFile: string): Promise<number> {
  const text = await readFile(graphFile, 'latin1');
  let bytes = 0;
  for (const [, places = ''] of text.matchAll(/\+\d+((?:\|\d+;\d+;\d+)+)/g)) {
    for (const [, length] of places.matchAll(/\|\d+;(\d+);/g)) bytes += Number(length);
  }
  return bytes;
}

async function readManifest(directory: string): Promise<Manifest | undefined> {
  const value = await readObject(path.join(directory, MANIFEST));
  const { formatVersion, digest, signature, runtime } = value ?? {};
  return typeof formatVersion === 'number' &&
    typeof digest === 'string' &&
    typeof signature === 'string' &&
    typeof runtime === 'string'
    ? { formatVersion, digest, signature, runtime }
    : undefined;
}
