import { createInterface } from 'node:readline/promises';

/** Flags of commands that delete. */
export interface RemovalFlags {
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

/**
 * Whether to go on with what was just printed:
 *
 * 1. `--dry-run`: no.
 * 2. `--yes`: yes.
 * 3. At a terminal the user is asked; only `y` or `yes` is one.
 * 4. Elsewhere there is nobody to ask.
 *
 * @throws Error in case 4
 */
export async function confirm(question: string, { yes, dryRun }: RemovalFlags): Promise<boolean> {
  if (dryRun === true) return false;
  if (yes === true) return true;
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    throw new Error('nothing was removed: there is no terminal to ask at; add --yes, or --dry-run');
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}
