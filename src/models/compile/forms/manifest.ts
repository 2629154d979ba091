/** What a mapped form is made from, with what, and which files it has. */
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import path from 'node:path';
import { cpuFlags } from '../../../system/cpus.js';
import type { FormFile } from './checksums.js';
import { readObject } from './written-files.js';

/** Raise it when the way changes in which a mapped form, or what was found of its model, is made: older ones are then made anew. */
export const FORMAT_VERSION = 10;
export const MANIFEST = 'manifest.json';

/** What a form is valid for. Nothing in it depends on the machine's paths, inodes or clocks. */
export interface FormSignature {
  /** SHA-256 over the names and contents of the model's files, see `digestOfSources`. */
  readonly digest: string;
  /** See {@link runtimeKey}. */
  readonly runtime: string;
}

export interface Manifest extends FormSignature {
  readonly formatVersion: number;
  /** Random: tells a form from the one that was made in its place. */
  readonly instance: string;
  readonly files: readonly FormFile[];
}

/** ONNX Runtime's version and the CPU's features: an optimised graph is good for this pair only. */
export async function runtimeKey(): Promise<string> {
  const require = createRequire(import.meta.url);
  const manifest: unknown = require('onnxruntime-node/package.json');
  const version =
    typeof manifest === 'object' && manifest !== null && 'version' in manifest
      ? String(manifest.version)
      : 'unknown';
  return `onnxruntime ${version}; ${process.arch}; ${(await cpuFlags()).join(' ')}`;
}

/** Name of the folder of a form: forms for other files, runtimes or CPUs lie beside it. */
export function folderNameOf({ digest, runtime }: FormSignature): string {
  return createHash('sha256')
    .update(`${FORMAT_VERSION}\n${digest}\n${runtime}`)
    .digest('hex')
    .slice(0, 16);
}

/** The manifest in a folder; undefined if it is missing, broken or of another format. */
export async function readManifest(directory: string): Promise<Manifest | undefined> {
  const value = await readObject(path.join(directory, MANIFEST));
  const { formatVersion, digest, runtime, instance, files } = value ?? {};
  return formatVersion === FORMAT_VERSION &&
    typeof digest === 'string' &&
    typeof runtime === 'string' &&
    typeof instance === 'string' &&
    Array.isArray(files) &&
    files.every(isFormFile)
    ? { formatVersion, digest, runtime, instance, files }
    : undefined;
}

function isFormFile(value: unknown): value is FormFile {
  if (typeof value !== 'object' || value === null) return false;
  const { name, bytes, sha256 } = value as Partial<Record<keyof FormFile, unknown>>;
  return typeof name === 'string' && typeof bytes === 'number' && typeof sha256 === 'string';
}
