/** A separate program that allocates as many MB as it is told, touching every page, until it is ended. */

const MB = 2 ** 20;
/** Size of one allocation: large enough for a mapping of its own. */
const PIECE_MB = 8;
const held: Buffer[] = [];

process.on('message', (megabytes: number) => {
  for (let taken = 0; taken < megabytes; taken += PIECE_MB) {
    held.push(Buffer.alloc(PIECE_MB * MB, 1));
  }
  process.send?.(held.length * PIECE_MB);
});
process.on('disconnect', () => process.exit(0));
