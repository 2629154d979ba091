/** Takes memory and gives it back: `n` MB more, or less where n is negative; every page is touched. */

const MB = 2 ** 20;
/** Large enough for an mmap of its own, so that a piece goes back to the system at once. */
const PIECE_MB = 8;
const held: Buffer[] = [];

process.on('message', (megabytes: number) => {
  const pieces = Math.round(Math.abs(megabytes) / PIECE_MB);
  for (let n = 0; n < pieces; n += 1) {
    if (megabytes > 0) held.push(Buffer.alloc(PIECE_MB * MB, 1));
    else held.pop();
  }
  if (megabytes < 0) globalThis.gc?.();
  process.send?.(held.length * PIECE_MB);
});
process.on('disconnect', () => process.exit(0));
