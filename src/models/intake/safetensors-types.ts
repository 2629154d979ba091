/** Which types of numbers a checkpoint holds, as the beginning of its header says: enough to plan memory and disk. */
import path from 'node:path';
import type { FolderContents } from './folder/contents.js';
import { openFile } from './folder/files.js';

/** Before the header stands its length, in 8 bytes; then come its first tensors. The preparer reads and checks all of it. */
const HEAD_BYTES = 64 * 1024;
/** Bytes of a number as float32 ÷ bytes as it is stored. */
const WIDENING: Readonly<Record<string, number>> = { BF16: 2, F16: 2, F32: 1, F64: 0.5 };

/**
 * By how much a checkpoint's weights grow when they become float32. Where it holds several types the largest counts;
 * where it cannot be read, 1: preparing says what is wrong with it.
 */
export async function wideningOf(
  { directory }: FolderContents,
  weights: readonly string[],
): Promise<number> {
  const [first] = weights.filter((file) => file.endsWith('.safetensors'));
  if (first === undefined) return 1;
  const head = await headOf(path.join(directory, first)).catch(() => '');
  const types = [...head.matchAll(/"dtype"\s*:\s*"([A-Z0-9_]+)"/g)].map(([, type]) => type ?? '');
  const factors = types.flatMap((type) => WIDENING[type] ?? []);
  return factors.length === 0 ? 1 : Math.max(...factors);
}

async function headOf(file: string): Promise<string> {
  const { handle } = await openFile(file);
  try {
    const bytes = Buffer.alloc(HEAD_BYTES);
    const { bytesRead } = await handle.read(bytes, 0, HEAD_BYTES, 0);
    return bytes.toString('latin1', 0, bytesRead);
  } finally {
    await handle.close();
  }
}
