/** A program of its own that takes memory as it is told, in MB, page by page; it all goes back when it ends. */

const MB = 2 ** 20;
/** One piece; large enough for a mapping of its own. */
const PIECE_MB = 8;
const held: Buffer[] = [];

process.on('message', (megabytes: number) => {
  for (let taken = 0; taken < megabytes; taken += PIECE_MB) {
    held.push(Buffer.alloc(PIECE_MB * MB, 1));
  }
  process.send?.(held.length * PIECE_MB);
});
process.on('disconnect', () => process.exit(0));
