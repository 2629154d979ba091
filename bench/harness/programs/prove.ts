/** `plimsoll prove`, as a benchmark runs it. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { ProofReport } from '../../../src/proof/judge/report-schema.js';
import type { Deferring } from '../benchmark.js';
import { serverEnvironment, serverProgram } from '../program.js';

export interface Proof {
  readonly exitCode: number | null;
  readonly report: ProofReport;
  /** The report as it was written. */
  readonly json: Buffer;
}

/**
 * Plays a proof against a server that it starts itself.
 *
 * @param out folder for the report
 * @param onLine gets each line that it prints
 * @throws Error if it leaves no report
 */
export async function prove(
  { defer }: Deferring,
  out: string,
  flags: readonly string[],
  onLine: (line: string) => void = () => undefined,
): Promise<Proof> {
  const child = spawn(process.execPath, [serverProgram, 'prove', '--out', out, ...flags], {
    env: serverEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    for (const line of text.split('\n')) onLine(line);
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', resolve);
  });
  // It ends its server before it ends itself, and writes what was played.
  defer(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  const exitCode = await ended;
  const json = await readFile(path.join(out, 'report.json'));
  return { exitCode, report: JSON.parse(json.toString('utf8')), json };
}
