import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { pythonDeploy } from '../../servers/tools.js';

/** The Python that has the judges; the tests that need one are skipped, by name, where it cannot be had. */
export const python: string | undefined = pythonDeploy;

const SCRIPT = fileURLToPath(new URL('judges.py', import.meta.url));
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** The path of a file of the repository. */
export function placeOf(name: string): string {
  return `${ROOT}${name}`;
}

export function textOf(name: string): string {
  return readFileSync(placeOf(name), 'utf8');
}

/** What a judge is asked: see judges.py. */
export type Task =
  | {
      readonly do: 'render';
      readonly chart: string;
      readonly values: object;
      readonly name: string;
      readonly namespace: string;
    }
  | { readonly do: 'lint'; readonly chart: string; readonly values: object }
  | { readonly do: 'kubernetes'; readonly document: object; readonly version: string }
  | { readonly do: 'custom'; readonly document: object }
  | { readonly do: 'compose' | 'parse'; readonly text: string }
  | { readonly do: 'promql'; readonly expression: string };

/** What it found, or why it refuses. */
export type Judgement<T> = { readonly ok: T } | { readonly error: string };

/** Asks in one process; the answers are in the order of the tasks. */
export function judge<T>(tasks: readonly Task[]): readonly Judgement<T>[] {
  if (python === undefined) throw new Error('the Python environment "deploy" is not installed');
  const { status, stdout, stderr, error } = spawnSync(python, [SCRIPT], {
    input: JSON.stringify(tasks),
    encoding: 'utf8',
    maxBuffer: 64 * 2 ** 20,
    timeout: 110_000,
  });
  if (status !== 0) throw new Error(`judges.py: ${error?.message ?? stderr}`);
  return JSON.parse(stdout) as readonly Judgement<T>[];
}

/** The answer to one task. @throws Error with what the judge refused */
export function judged<T>(task: Task): T {
  const [answer] = judge<T>([task]);
  if (answer === undefined || 'error' in answer) throw new Error(answer?.error ?? 'no answer');
  return answer.ok;
}

/** What the judges refused; empty if nothing. */
export function refusals(tasks: readonly Task[]): readonly string[] {
  return judge(tasks).flatMap((answer) => ('error' in answer ? [answer.error] : []));
}
