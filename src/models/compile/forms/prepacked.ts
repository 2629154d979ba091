import { readFile } from 'node:fs/promises';

/**
 * Bytes of the weights that were written in the kernels' own layout. ONNX Runtime notes them in the graph,
 * beside the weight that they are of: `prepacked_0`, then `MatMul+HASH|OFFSET;LENGTH;CHECKSUM|…`.
 */
export async function prepackedBytesIn(graphFile: string): Promise<number> {
  const text = await readFile(graphFile, 'latin1');
  let bytes = 0;
  for (const [, places = ''] of text.matchAll(/\+\d+((?:\|\d+;\d+;\d+)+)/g)) {
    for (const [, length] of places.matchAll(/\|\d+;(\d+);/g)) bytes += Number(length);
  }
  return bytes;
}
