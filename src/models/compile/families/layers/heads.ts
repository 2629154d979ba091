/** What stands on an encoder: from hidden states [batch, sequence, hidden] to logits. */
import type { Module, Value } from '../network/network.js';
import { type ActivationName, activate } from './activations.js';
import { linear } from './linear.js';
import { firstToken } from './sequence.js';

export interface ClassifierShape {
  readonly hidden: number;
  readonly labels: number;
}

/** A dense layer of each token: [batch, sequence, labels]. */
export function tokenClassifier(
  root: Module,
  states: Value,
  { hidden, labels }: ClassifierShape,
): Value {
  return linear(root.at('classifier'), states, { from: hidden, to: labels });
}

/** RoBERTa's head: the first token through `dense`, an activation and `out_proj`. */
export function denseHead(
  head: Module,
  states: Value,
  activation: ActivationName,
  { hidden, labels }: ClassifierShape,
): Value {
  const first = firstToken(head, states);
  const dense = linear(head.at('dense'), first, { from: hidden, to: hidden });
  const active = activate(head, activation, dense);
  return linear(head.at('out_proj'), active, { from: hidden, to: labels });
}
