/**
 * ELECTRA (Clark et al., arXiv:2003.10555): BERT's encoder, with embeddings that may be narrower than the hidden
 * states, and a head of its own.
 */

import { bertEncoder, readBertShape } from '../layers/bert-encoder.js';
import { normedEmbeddings } from '../layers/embeddings.js';
import { denseHead, tokenClassifier } from '../layers/heads.js';
import { linear } from '../layers/linear.js';
import { positions } from '../layers/sequence.js';
import type { Family } from '../network/family.js';

export const electra: Family = {
  name: 'ELECTRA',
  modelTypes: ['electra'],
  classes: ['Electra'],
  base: 'electra',
  describe(root, config, task) {
    const shape = readBertShape(config, { hidden: 256, heads: 4, intermediate: 1024 });
    const size = config.integer('embedding_size', 128);
    const { hidden } = shape;
    const model = root.at('electra');
    const places = shape.positionType === 'absolute' ? positions(root) : undefined;
    const embedded = normedEmbeddings(model.at('embeddings'), { ...shape, size }, places);
    const project = model.at('embeddings_project');
    const wide = size === hidden ? embedded : linear(project, embedded, { from: size, to: hidden });
    const states = bertEncoder(model.at('encoder'), wide, shape);
    const head = { hidden, labels: config.labels() };
    if (task === 'token') return tokenClassifier(root, states, head);
    // The head has gelu whatever hidden_act says.
    return denseHead(root.at('classifier'), states, 'gelu', head);
  },
};
