import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

/** Files below a root, by path: what a kernel would show there. */
export type Tree = Readonly<Record<string, string>>;

/** The root of a tree that was captured from a real kernel; see its README.md for the origins. */
export function capturedRoot(name: string): string {
  return fileURLToPath(new URL(`../../fixtures/captured/${name}`, import.meta.url));
}

/** Writes `trees` into a new temporary root, which goes away with the test. */
export function layOut(...trees: readonly Tree[]): string {
  const root = mkdtempSync(join(tmpdir(), 'plimsoll-system-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  for (const tree of trees) change(root, tree);
  return root;
}

/** Writes files into a root that is laid out already. */
export function change(root: string, tree: Tree): void {
  for (const [path, text] of Object.entries(tree)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

/** The files of one cgroup directory. */
export function under(directory: string, files: Tree): Tree {
  return Object.fromEntries(
    Object.entries(files).map(([name, text]) => [`${directory}/${name}`, text]),
  );
}
