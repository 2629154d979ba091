import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished, vi } from 'vitest';
import type { ModelHandle } from '../../../../src/inference/workers/protocol.js';
import { plainFindings, TOKENIZER } from '../../models/described.js';

/** Path of a fixture worker. */
export function fixture(name: string): string {
  return fileURLToPath(new URL(`../../../fixtures/workers/${name}.mjs`, import.meta.url));
}

/** A temporary folder that goes away with the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-workers-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** An input at which the echo worker waits until it is let through. */
export interface Gate {
  readonly input: string;
  /** Settles when a worker waits at it. */
  readonly reached: () => Promise<void>;
  readonly open: () => void;
}

export function newGate(): Gate {
  const file = path.join(temporaryFolder(), 'open');
  return {
    input: `gate ${file}`,
    reached: () => until(() => existsSync(`${file}.waits`)),
    open: () => writeFileSync(file, ''),
  };
}

/** Settles when the condition holds: what is waited for happens in another process. */
export async function until(condition: () => boolean): Promise<void> {
  await vi.waitUntil(condition, { timeout: 10_000, interval: 5 });
}

export function isAlive(pid: number | undefined): boolean {
  try {
    return pid !== undefined && process.kill(pid, 0);
  } catch {
    return false;
  }
}

export function handle(id: string, changes: Partial<ModelHandle> = {}): ModelHandle {
  return {
    id,
    digest: 'digest-1',
    files: [],
    tokenizer: {
      ...{ files: TOKENIZER, choice: { kind: 'javascript' } },
      ...{ maxTokens: 128, truncationSide: undefined },
    },
    graphFile: 'graph',
    threads: 1,
    arena: false,
    plan: plainFindings().plan,
    scoring: 'softmax',
    ...changes,
  };
}
