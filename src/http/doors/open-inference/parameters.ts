/** Parameters of a request that are this server's own. Pure. */
import { SCORE_FUNCTIONS } from '../../../contract/classify.js';
import type { ScoreFunction } from '../../../models/intake/reading/scoring.js';
import type { Aggregation } from '../../../models/run/entities.js';
import { invalid, shown } from './tensors/datatypes.js';
import type { InferRequest } from './tensors/request.js';

const AGGREGATIONS: readonly Aggregation[] = ['none', 'simple', 'first', 'average', 'max'];

/** `function_to_apply`; undefined: what the model asks for. @throws PlimsollError INVALID_REQUEST */
export function functionOf({ parameters }: InferRequest): ScoreFunction | undefined {
  return oneOf('function_to_apply', parameters.function_to_apply, SCORE_FUNCTIONS);
}

/** `aggregation_strategy`: how tokens become entities. @throws PlimsollError INVALID_REQUEST */
export function aggregationOf({ parameters }: InferRequest): Aggregation | undefined {
  return oneOf('aggregation_strategy', parameters.aggregation_strategy, AGGREGATIONS);
}

/** `stride`: tokens that two chunks of a long text share. @throws PlimsollError INVALID_REQUEST */
export function strideOf({ parameters: { stride } }: InferRequest): number | undefined {
  if (stride === undefined) return undefined;
  if (Number.isSafeInteger(stride) && Number(stride) >= 0) return Number(stride);
  throw invalid(`stride is ${shown(stride)}, not a number of tokens`);
}

function oneOf<T extends string>(name: string, value: unknown, known: readonly T[]): T | undefined {
  if (value === undefined) return undefined;
  const found = known.find((one) => one === value);
  if (found !== undefined) return found;
  throw invalid(`${name} is ${shown(value)}; it is one of ${known.join(', ')}`);
}
