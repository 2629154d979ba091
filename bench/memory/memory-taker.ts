/** Takes memory and gives it back as it is told: `+n` MB more, `-n` MB less, touched page by page. */

const MB = 2 ** 20;
/** One piece; large enough for an mmap of its own, so that it goes back to the system when it goes. */
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
