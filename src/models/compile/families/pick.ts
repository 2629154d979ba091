/** Which family a model belongs to, and what its head gives, by what config.json says. */
import { PlimsollError } from '../../../errors.js';
import type { JsonObject } from '../../intake/folder/json.js';
import type { Family, HeadTask } from './network/family.js';
import { FAMILIES } from './registry.js';

export interface Picked {
  readonly family: Family;
  readonly task: HeadTask;
}

const HEADS: readonly (readonly [string, HeadTask])[] = [
  ['ForSequenceClassification', 'sequence'],
  ['ForTokenClassification', 'token'],
];

/**
 * 1. The family of `model_type`, as `transformers` picks it; without one, that of the first class.
 * 2. The task of the first class in `architectures` that is the family's and has a head.
 * 3. Classes that are none of the family's: it is another network that borrows the name, or has no head.
 * 4. No classes: `fallback`.
 *
 * @throws PlimsollError MODEL_UNUSABLE
 */
export function pickFamily(config: JsonObject, fallback: HeadTask = 'sequence'): Picked {
  const classes = (Array.isArray(config.architectures) ? config.architectures : []).filter(
    (name): name is string => typeof name === 'string',
  );
  const type = typeof config.model_type === 'string' ? config.model_type : undefined;
  const family = FAMILIES.find(({ modelTypes, classes: known }) =>
    type === undefined
      ? known.some((begin) => HEADS.some(([end]) => classes[0] === `${begin}${end}`))
      : modelTypes.includes(type),
  );
  if (family === undefined) throw unknown(type, classes);
  for (const name of classes) {
    for (const [end, task] of HEADS) {
      if (family.classes.some((begin) => name === `${begin}${end}`)) return { family, task };
    }
  }
  if (classes.length > 0) throw noHead(family, classes);
  return { family, task: fallback };
}

function unknown(type: string | undefined, classes: readonly string[]): PlimsollError {
  const found = [type === undefined ? [] : [`model_type ${type}`], ...classes].flat();
  const what = found.length === 0 ? 'config.json names no architecture' : short(found);
  const known = FAMILIES.map(({ name }) => name).join(', ');
  return new PlimsollError(
    'MODEL_UNUSABLE',
    `its weights cannot be compiled: ${what}; those of ${known} can. ${REMEDY}`,
  );
}

function noHead({ name, classes: known }: Family, classes: readonly string[]): PlimsollError {
  const wanted = known.flatMap((begin) => HEADS.map(([end]) => `${begin}${end}`)).join(', ');
  return new PlimsollError(
    'MODEL_UNUSABLE',
    `its weights cannot be compiled: its architecture is ${short(classes)}; of ${name}, these can: ${wanted}. ${REMEDY}`,
  );
}

const REMEDY = 'Export it to ONNX instead: optimum-cli export onnx --model FOLDER FOLDER/onnx';

function short(names: readonly string[]): string {
  return names.join(', ').slice(0, 200);
}
