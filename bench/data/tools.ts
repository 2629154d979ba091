/** The servers that the benchmarks run beside ours; the tests find theirs the same way. */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { NotRunError } from '../harness/benchmark.js';
import { projectFolder } from '../harness/program.js';

const NAMES = { redis: 'Redis', postgresql: 'PostgreSQL' };

/** Path of the server's program. @throws NotRunError where it is not installed. */
export async function serverProgramOf(tool: keyof typeof NAMES): Promise<string> {
  const file = path.join(projectFolder, 'scripts/test-tools.mjs');
  const tools: unknown = await import(pathToFileURL(file).href);
  const { findTool } = tools as { findTool: (name: string) => string | undefined };
  const program = findTool(tool);
  if (program === undefined) throw new NotRunError(`${NAMES[tool]} is not installed`);
  return program;
}
