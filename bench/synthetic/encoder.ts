/** The graph of BERT for sequence classification, named the way PyTorch's exports are. */
import { GraphBuilder } from '../../src/models/compile/onnx/graph-builder.js';
import { dataTypes } from '../../src/models/compile/onnx/messages.js';
import { transformerLayer } from './layer.js';
import { dense, GAINS, layerNorm, nodePath, STD } from './modules.js';
import type { ClassifierShape } from './shapes.js';

/** What is added to the attention score of a padding token. */
const MASKED_SCORE = -10_000;

/** Word plus position embeddings, normalised: [batch, sequence] to [batch, sequence, hidden]. */
function embeddings(graph: GraphBuilder, shape: ClassifierShape): string {
  const module = 'bert.embeddings';
  const path = nodePath(module);
  const { vocabulary, maxPositions, hidden } = shape;
  const words = graph.weight(`${module}.word_embeddings.weight`, [vocabulary, hidden], STD);
  const table = graph.weight(`${module}.position_embeddings.weight`, [maxPositions, hidden], STD);
  const word = graph.node('Gather', `${path}/word_embeddings/Gather`, [words, 'input_ids']);
  // Positions 0, 1, 2, .. of every row as a running count: unlike a slice of the table, this keeps
  // the shape known as [batch, sequence], without which no SkipLayerNormalization is fused.
  const zeros = graph.node('Sub', `${path}/Sub`, ['input_ids', 'input_ids']);
  const ones = graph.node('Add', `${path}/Add_1`, [zeros, graph.integer(1)]);
  const counted = { exclusive: 1 };
  const ids = graph.node('CumSum', `${path}/CumSum`, [ones, graph.integer(1)], counted);
  const position = graph.node('Gather', `${path}/position_embeddings/Gather`, [table, ids]);
  const sum = graph.node('Add', `${path}/Add`, [word, position]);
  return layerNorm(graph, `${module}.LayerNorm`, sum, hidden);
}

/** 0 for a token and `MASKED_SCORE` for padding: [batch, sequence] to [batch, 1, 1, sequence]. */
function additiveMask(graph: GraphBuilder): string {
  const rows = graph.node('Unsqueeze', '/bert/Unsqueeze', ['attention_mask', graph.integers(1)]);
  const mask = graph.node('Unsqueeze', '/bert/Unsqueeze_1', [rows, graph.integers(2)]);
  const floats = graph.node('Cast', '/bert/Cast', [mask], { to: dataTypes.float });
  const padding = graph.node('Sub', '/bert/Sub', [graph.scalar(1), floats]);
  return graph.node('Mul', '/bert/Mul', [padding, graph.scalar(MASKED_SCORE)]);
}

/**
 * Describes the whole classifier: `input_ids` and `attention_mask`, int64 [batch, sequence], to
 * `logits`, float32 [batch, labels]. A sequence longer than `maxPositions` makes the run fail.
 */
export function describeClassifier(shape: ClassifierShape): GraphBuilder {
  const graph = new GraphBuilder();
  const { hidden, labels } = shape;
  const mask = additiveMask(graph);
  let state = embeddings(graph, shape);
  for (let index = 0; index < shape.layers; index += 1) {
    state = transformerLayer(graph, `bert.encoder.layer.${index}`, state, mask, shape);
  }
  // The pooler reads the first token, [CLS]; a rank-0 index drops the dimension.
  const first = graph.node('Gather', '/bert/pooler/Gather', [state, graph.integer(0)], { axis: 1 });
  const pooler = { from: hidden, to: hidden, gain: GAINS.pooler };
  const pooled = dense(graph, 'bert.pooler.dense', first, pooler);
  const active = graph.node('Tanh', '/bert/pooler/activation/Tanh', [pooled]);
  const classifier = { from: hidden, to: labels, gain: GAINS.classifier };
  const logits = dense(graph, 'classifier', active, classifier);
  graph.node('Identity', '/Identity', [logits], {}, 'logits');
  return graph;
}
