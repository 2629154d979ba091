/**
 * RoBERTa (Liu et al., arXiv:1907.11692), and the models that are built alike: CamemBERT (Martin et al.,
 * arXiv:1911.03894) and XLM-RoBERTa (Conneau et al., arXiv:1911.02116). BERT's encoder; positions are counted from
 * behind the padding's id, and the head is a dense layer, tanh and a projection.
 */

import { type BertShape, bertEncoder, readBertShape } from '../layers/bert-encoder.js';
import { normedEmbeddings } from '../layers/embeddings.js';
import { denseHead, tokenClassifier } from '../layers/heads.js';
import { positionsBehindPadding } from '../layers/sequence.js';
import type { Config } from '../network/config.js';
import type { Family } from '../network/family.js';
import type { Module, Value } from '../network/network.js';

const DEFAULT_PAD_TOKEN = 1;

export const roberta: Family = {
  name: 'RoBERTa, CamemBERT, XLM-RoBERTa',
  modelTypes: ['roberta', 'camembert', 'xlm-roberta'],
  classes: ['Roberta', 'Camembert', 'XLMRoberta'],
  base: 'roberta',
  describe(root, config, task) {
    // RobertaConfig has another default for the vocabulary than the other two.
    const vocabulary = config.raw('model_type') === 'roberta' ? 50_265 : 30_522;
    const shape = readBertShape(config, { vocabulary });
    const { hidden } = shape;
    const model = root.at('roberta');
    const places = robertaPositions(root, config, shape);
    const embedded = normedEmbeddings(model.at('embeddings'), { ...shape, size: hidden }, places);
    const states = bertEncoder(model.at('encoder'), embedded, shape);
    const head = { hidden, labels: config.labels() };
    if (task === 'token') return tokenClassifier(root, states, head);
    return denseHead(root.at('classifier'), states, 'tanh', head);
  },
};

/** Positions of the tokens; undefined where attention alone knows them. */
export function robertaPositions(
  root: Module,
  config: Config,
  { positionType, maxPositions }: BertShape,
): Value | undefined {
  const pad = config.integer('pad_token_id', DEFAULT_PAD_TOKEN, { min: 0, max: maxPositions - 2 });
  return positionType === 'absolute' ? positionsBehindPadding(root, pad) : undefined;
}
