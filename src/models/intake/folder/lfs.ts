/** Small text files that stand for large ones where Git LFS has not fetched them. */
import { readBounded } from './files.js';

/** First line of such a file. */
const LFS_POINTER = 'version https://git-lfs.github.com/spec/v1';
/** Such files have some 130 bytes. */
const MAX_POINTER_BYTES = 1024;

export function isLfsText(text: string): boolean {
  return text.startsWith(LFS_POINTER);
}

/**
 * Whether the file only points to content that Git LFS keeps elsewhere.
 *
 * @param bytes its size, where that is known
 */
export async function isLfsPointer(file: string, bytes = 0): Promise<boolean> {
  if (bytes > MAX_POINTER_BYTES) return false;
  try {
    return isLfsText((await readBounded(file, MAX_POINTER_BYTES)).toString('latin1'));
  } catch {
    return false;
  }
}

export function lfsReason(file: string): string {
  return `${file} is a Git LFS pointer, not the file itself: its content was never fetched. To mend it, run in its folder: git lfs pull`;
}
