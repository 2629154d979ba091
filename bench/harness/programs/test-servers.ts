/** Redis and PostgreSQL for the benchmarks; the tests find theirs the same way. */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { NotRunError } from '../benchmark.js';
import { projectFolder } from '../program.js';

const NAMES = { redis: 'Redis', postgresql: 'PostgreSQL', haproxy: 'HAProxy' };

/** Path of the server's program. @throws NotRunError where it is not installed. */
export async function serverProgramOf(tool: keyof typeof NAMES): Promise<string> {
  const { findTool } = await importScript<{ findTool: (name: string) => string | undefined }>(
    'test-tools.mjs',
  );
  const program = findTool(tool);
  if (program === undefined) throw new NotRunError(`${NAMES[tool]} is not installed`);
  return program;
}

/** A module of scripts/: those are not compiled, and lie elsewhere than a compiled benchmark expects. */
export async function importScript<T>(name: string): Promise<T> {
  const file = path.join(projectFolder, 'scripts', name);
  return (await import(pathToFileURL(file).href)) as T;
}
