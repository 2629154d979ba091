/** How a long text is cut into chunks that overlap: as the `tokenizers` library cuts what overflows. Pure. */
import type { Side } from '../../intake/reading/room.js';

/** Tokens that the chunks of one text may have together, those that chunks share counted each time: 64 × 512. */
export const MOST_TOKENS_OF_TEXT = 32_768;

/** First token of a chunk, and the one behind its last. */
export type Range = readonly [begin: number, end: number];

/**
 * The chunks of a text in the order in which they are cut: from its beginning, or from its end where that side is
 * kept.
 *
 * @param most tokens of a chunk
 * @param stride tokens that it shares with the one before; fewer than `most`
 * @param side which side of a text is cut off
 */
export function chunksOf(
  tokens: number,
  most: number,
  stride: number,
  side: Side,
): readonly Range[] {
  if (tokens <= most) return [[0, tokens]];
  const chunks: Range[] = [];
  for (let at = 0; ; at += most - stride) {
    const [begin, end]: Range =
      side === 'left'
        ? [Math.max(0, tokens - at - most), tokens - at]
        : [at, Math.min(at + most, tokens)];
    chunks.push([begin, end]);
    if (side === 'left' ? begin === 0 : end === tokens) return chunks;
  }
}

/** The most tokens of a text that make so many chunks. */
export function tokensOfChunks(count: number, most: number, stride: number): number {
  return most + Math.max(0, count - 1) * (most - stride);
}
