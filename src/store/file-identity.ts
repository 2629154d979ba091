import { fstatSync, statSync } from 'node:fs';

/** Which file lies at a path, to see whether it was deleted or replaced; empty if none can be reached. */
export function identityAt(path: string): string {
  try {
    return textOf(statSync(path, { bigint: true }));
  } catch {
    return '';
  }
}

/** Which file is open. */
export function identityOfOpen(fd: number): string {
  return textOf(fstatSync(fd, { bigint: true }));
}

function textOf({ dev, ino }: { readonly dev: bigint; readonly ino: bigint }): string {
  return `${dev}:${ino}`;
}
