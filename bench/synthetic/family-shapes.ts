/** `config.json` of each family that is compiled from safetensors, in a small size and in that of its base model. */
import type { JsonObject } from '../../src/models/intake/folder/json.js';

/** Sizes that the generated models have. */
export const FAMILY_SIZES = {
  small: { layers: 4, hidden: 192, heads: 6, intermediate: 768 },
  base: { layers: 12, hidden: 768, heads: 12, intermediate: 3072 },
} as const;
export type FamilySize = keyof typeof FAMILY_SIZES;

const SEQUENCE = 'ForSequenceClassification';
/** Positions begin behind the padding token's id: the tokenizer's is 0. */
const OFFSET_POSITIONS = { max_position_embeddings: 513, pad_token_id: 0, type_vocab_size: 1 };
/** As microsoft/deberta-v3-base has it. */
const DISENTANGLED = {
  relative_attention: true,
  position_buckets: 256,
  max_relative_positions: -1,
  pos_att_type: ['p2c', 'c2p'],
  share_att_key: true,
  norm_rel_ebd: 'layer_norm',
  position_biased_input: false,
  type_vocab_size: 0,
  layer_norm_eps: 1e-7,
  pooler_dropout: 0,
  pooler_hidden_act: 'gelu',
};

/** What each family's config.json has beside its sizes, by `model_type`. */
const FAMILIES = {
  bert: { architectures: [`Bert${SEQUENCE}`] },
  roberta: { architectures: [`Roberta${SEQUENCE}`], ...OFFSET_POSITIONS },
  camembert: { architectures: [`Camembert${SEQUENCE}`], ...OFFSET_POSITIONS },
  'xlm-roberta': { architectures: [`XLMRoberta${SEQUENCE}`], ...OFFSET_POSITIONS },
  'xlm-roberta-xl': { architectures: [`XLMRobertaXL${SEQUENCE}`], ...OFFSET_POSITIONS },
  distilbert: { architectures: [`DistilBert${SEQUENCE}`] },
  electra: { architectures: [`Electra${SEQUENCE}`] },
  albert: { architectures: [`Albert${SEQUENCE}`], embedding_size: 128, hidden_act: 'gelu_new' },
  mpnet: { architectures: [`MPNet${SEQUENCE}`], ...OFFSET_POSITIONS },
  'deberta-v2': { architectures: [`DebertaV2${SEQUENCE}`], ...DISENTANGLED },
  modernbert: { architectures: [`ModernBert${SEQUENCE}`], classifier_pooling: 'mean' },
} as const;

export type FamilyName = keyof typeof FAMILIES;
export const familyNames = Object.keys(FAMILIES) as readonly FamilyName[];

/** DistilBERT has its own names for the sizes. */
function sizesOf(name: FamilyName, size: FamilySize): JsonObject {
  const { layers, hidden, heads, intermediate } = FAMILY_SIZES[size];
  if (name === 'distilbert') {
    return { n_layers: layers / 2, dim: hidden, n_heads: heads, hidden_dim: intermediate };
  }
  return {
    num_hidden_layers: layers,
    hidden_size: hidden,
    num_attention_heads: heads,
    // A gated network has two products of this width where the others have one.
    intermediate_size: name === 'modernbert' ? intermediate / 2 : intermediate,
    ...(name === 'electra' ? { embedding_size: hidden } : {}),
  };
}

/** The whole `config.json`, the same for the same model. */
export function familyConfig(
  name: FamilyName,
  size: FamilySize,
  vocabulary: number,
  labels: readonly string[],
): JsonObject {
  return {
    model_type: name,
    id2label: Object.fromEntries(labels.map((label, index) => [String(index), label])),
    vocab_size: vocabulary,
    max_position_embeddings: 512,
    pad_token_id: 0,
    ...sizesOf(name, size),
    ...FAMILIES[name],
  };
}
