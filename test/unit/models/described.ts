/** Models and findings for tests that need some, whatever they hold. */
import { type Declaration, describe } from '../../../src/models/intake/description.js';
import type { Model } from '../../../src/models/intake/repository.js';
import type { TokenizerFiles } from '../../../src/models/intake/tokenizer-files.js';
import type { Findings } from '../../../src/models/run/serving-plan.js';

export const TOKENIZER: TokenizerFiles = {
  ...{ json: 'tokenizer.json', config: undefined, specialTokens: undefined },
  ...{ vocabulary: undefined, vocabularyJson: undefined, merges: undefined },
  all: ['tokenizer.json'],
};

/** What the files of a model with these labels say. */
export function declarationOf(labels: readonly string[], maxTokens = 128): Declaration {
  return {
    task: 'text-classification',
    labels: { names: new Map(labels.entries()), count: labels.length, from: 'a test' },
    ...{ activation: undefined, problemType: undefined, config: {}, tokenizer: {}, overrides: {} },
    room: { maxTokens, from: 'a test' },
  };
}

/** A model of which only the named facts matter. */
export function aModel(
  id: string,
  changes: Partial<Model> & { readonly labels?: readonly string[] } = {},
): Model {
  const { labels = ['a', 'b'], ...facts } = changes;
  const declaration = declarationOf(labels);
  return {
    ...{ id, directory: 'folder', declaration, aliases: [], dtype: 'fp32' },
    ...{ graphFile: 'onnx/model.onnx', graphs: [], tokenizer: TOKENIZER },
    ...{ files: ['onnx/model.onnx'], weights: ['onnx/model.onnx'], signature: 's', sourceBytes: 1 },
    description: describe(declaration),
    ...facts,
  };
}

/** What preparing a plain model finds out. */
export function plainFindings(labelCount = 2, maxTokens = 128): Findings {
  return {
    plan: {
      inputs: [
        { name: 'input_ids', role: 'ids', type: 'int64', rank: 2 },
        { name: 'attention_mask', role: 'mask', type: 'int64', rank: 2 },
      ],
      ...{ output: 'logits', labelCount, grouping: 'together', paddingSide: 'right' },
      ...{ padTokenId: 0, padTypeId: 0, positionOffset: 0 },
    },
    ...{ tokenizer: { kind: 'javascript' }, maxTokens, decisions: [] },
  };
}
