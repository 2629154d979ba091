import { Readable } from 'node:stream';
import { EventLoopYield } from '../../inference/yielding.js';

/** Scores of an answer whose text is written in slices; others are served in between. */
export const LARGE_ANSWER_SCORES = 4096;

const yielding = new EventLoopYield();

/** A body that is written one slice in each turn of the event loop. */
export function slicedBody(slices: Iterable<string>): Readable {
  return Readable.from(oneInEachTurn(slices));
}

async function* oneInEachTurn(slices: Iterable<string>): AsyncGenerator<string, void> {
  for (const slice of slices) {
    yield slice;
    await yielding.next();
  }
}
