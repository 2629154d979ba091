/** BERT (Devlin et al., arXiv:1810.04805). */

import { bertEncoder, readBertShape } from '../layers/bert-encoder.js';
import { normedEmbeddings } from '../layers/embeddings.js';
import { tokenClassifier } from '../layers/heads.js';
import { linear } from '../layers/linear.js';
import { firstToken, positions } from '../layers/sequence.js';
import type { Family } from '../network/family.js';
import type { Module, Value } from '../network/network.js';

export const bert: Family = {
  name: 'BERT',
  modelTypes: ['bert'],
  classes: ['Bert'],
  base: 'bert',
  describe(root, config, task) {
    const shape = readBertShape(config);
    const { hidden } = shape;
    const labels = config.labels();
    const model = root.at('bert');
    const places = shape.positionType === 'absolute' ? positions(root) : undefined;
    const embedded = normedEmbeddings(model.at('embeddings'), { ...shape, size: hidden }, places);
    const states = bertEncoder(model.at('encoder'), embedded, shape);
    if (task === 'token') return tokenClassifier(root, states, { hidden, labels });
    const pooled = pooler(model.at('pooler'), states, hidden);
    return linear(root.at('classifier'), pooled, { from: hidden, to: labels });
  },
};

/** The first token through a dense layer and tanh. */
function pooler(module: Module, states: Value, hidden: number): Value {
  const first = firstToken(module, states);
  const dense = linear(module.at('dense'), first, { from: hidden, to: hidden });
  return module.apply('Tanh', [dense]);
}
