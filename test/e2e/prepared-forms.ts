/** Prepares the bundled model once for all end-to-end tests: else each server would do it anew, for seconds. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { run } from './processes.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** Folder with the mapped forms of the bundled model. */
    preparedForms: string;
  }
}

/** Far more than it takes on a busy machine. */
const AMPLE_MS = 600_000;

/** @returns what takes the forms away after the last test */
export default async function prepareForms({ provide }: TestProject): Promise<() => Promise<void>> {
  const data = await mkdtemp(path.join(tmpdir(), 'plimsoll-e2e-prepared-'));
  // As the servers of the tests serve them.
  const args = ['models', '--prepare', '--dtype', 'fp32', '--data', data];
  const { code, signal, stdout, stderr } = await run(args, { withinMs: AMPLE_MS });
  if (code !== 0) {
    throw new Error(`the bundled model was not prepared (${signal ?? code}): ${stdout}${stderr}`);
  }
  provide('preparedForms', path.join(data, 'mapped'));
  return () => rm(data, { recursive: true, force: true });
}
