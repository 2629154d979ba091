import { isNumber, isText, orMissing, shapeOf } from '../schema/shape.js';
import type { Entity } from './tasks.js';

/** Whether a value is an entity of a text. */
export const isEntity = shapeOf<Entity>({
  ...{ label: isText, score: isNumber, word: isText, start: isNumber, end: isNumber },
  index: orMissing(isNumber),
});
