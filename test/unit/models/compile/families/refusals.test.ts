/** What is no model that can be compiled says what was found, and what is right. */
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileSafetensors } from '../../../../../src/models/compile/compile-safetensors.js';
import { describeNetwork } from '../../../../../src/models/compile/families/describe.js';
import { pickFamily } from '../../../../../src/models/compile/families/pick.js';
import { FAMILIES } from '../../../../../src/models/compile/families/registry.js';
import type { JsonObject } from '../../../../../src/models/intake/folder/json.js';
import { temporaryFolder } from '../../folders.js';
import { encode, randomTensors, writeFolder } from '../checkpoints.js';

const CONFIG: JsonObject = {
  ...{ model_type: 'bert', architectures: ['BertForSequenceClassification'] },
  ...{ vocab_size: 20, hidden_size: 8, num_attention_heads: 2, num_hidden_layers: 1 },
  ...{ intermediate_size: 12, max_position_embeddings: 16 },
};

describe('the family', () => {
  test.each<[JsonObject, string, string]>([
    [{ model_type: 'bert' }, 'BERT', 'sequence'],
    [{ model_type: 'bert', architectures: ['BertForTokenClassification'] }, 'BERT', 'token'],
    [{ architectures: ['MPNetForTokenClassification'] }, 'MPNet', 'token'],
    [
      { model_type: 'xlm-roberta', architectures: ['RobertaForSequenceClassification'] },
      'RoBERTa, CamemBERT, XLM-RoBERTa',
      'sequence',
    ],
    [
      { model_type: 'bert', architectures: ['BertModel', 'BertForSequenceClassification'] },
      'BERT',
      'sequence',
    ],
  ])('of %j is %s, its head classifies each %s', (config, name, task) => {
    const picked = pickFamily(config);
    expect([picked.family.name, picked.task]).toEqual([name, task]);
  });

  test('without a class has the head that is asked for', () => {
    expect(pickFamily({ model_type: 'electra' }, 'token').task).toBe('token');
  });

  test.each<[JsonObject, string]>([
    [{}, 'config.json names no architecture'],
    [{ model_type: 'funnel' }, 'model_type funnel'],
    [{ model_type: 7, architectures: 'x' }, 'config.json names no architecture'],
    [{ architectures: ['T5ForSequenceClassification'] }, 'T5ForSequenceClassification'],
    [{ model_type: 'bert', architectures: ['BertModel'] }, 'its architecture is BertModel'],
    [{ model_type: 'bert', architectures: ['BertForMaskedLM'] }, 'BertForTokenClassification'],
    // Another network under the same type.
    [{ model_type: 'bert', architectures: ['JinaBertForSequenceClassification'] }, 'JinaBert'],
    [{ model_type: 'bert', architectures: ['RobertaForSequenceClassification'] }, 'RobertaFor'],
  ])('of %j is refused', (config, reason) => {
    expect(() => pickFamily(config)).toThrow(reason);
    expect(() => pickFamily(config)).toThrow('optimum-cli export onnx');
  });
});

async function refusal(config: JsonObject, weightsOf: JsonObject = CONFIG): Promise<string> {
  const weights = encode(randomTensors(weightsOf, 1));
  const folder = writeFolder(temporaryFolder(), config, { 'model.safetensors': weights });
  return compileSafetensors(folder, path.join(folder, 'work')).then(
    () => 'none',
    (error: unknown) => {
      expect(error).toMatchObject({ code: 'MODEL_UNUSABLE' });
      return error instanceof Error ? error.message : '';
    },
  );
}

describe('settings', () => {
  test('that are right are not refused', async () => {
    expect(await refusal(CONFIG)).toBe('none');
  });

  test.each<[JsonObject, string]>([
    [{ hidden_act: 'gelu_newer' }, 'hidden_act is "gelu_newer", one of gelu, '],
    [{ layer_norm_eps: 0 }, 'layer_norm_eps is 0'],
    [{ layer_norm_eps: null }, 'layer_norm_eps is null'],
    [{ num_hidden_layers: 1e9 }, 'num_hidden_layers is 1000000000, a whole number from 1 to 256'],
    [{ num_attention_heads: 3 }, 'hidden_size 8 is no multiple of num_attention_heads 3'],
    [{ position_embedding_type: 'alibi' }, 'position_embedding_type is "alibi"'],
    [{ is_decoder: true }, 'is_decoder is true'],
    [{ pruned_heads: { 0: [1] } }, 'pruned_heads is {"0":[1]}'],
    [{ quantization_config: { bits: 4 } }, 'quantization_config is {"bits":4}'],
    [{ vocab_size: '20' }, 'vocab_size is "20"'],
  ])('%j', async (change, reason) => {
    const message = await refusal({ ...CONFIG, ...change });
    expect(message).toContain('config.json cannot be used as BERT: ');
    expect(message).toContain(reason);
  });

  test('that change nothing are let be', async () => {
    const plain = {
      is_decoder: false,
      pruned_heads: {},
      classifier_dropout: null,
      use_cache: true,
    };
    expect(await refusal({ ...CONFIG, ...plain })).toBe('none');
  });

  test('are told all at once', async () => {
    const message = await refusal({ ...CONFIG, layer_norm_eps: -1, hidden_act: 7 });
    expect(message).toContain('layer_norm_eps');
    expect(message).toContain('hidden_act');
  });
});

describe('of ModernBERT', () => {
  const modern: JsonObject = {
    ...{ model_type: 'modernbert', architectures: ['ModernBertForSequenceClassification'] },
    ...{ vocab_size: 20, hidden_size: 8, num_attention_heads: 2, num_hidden_layers: 2 },
    intermediate_size: 6,
  };
  const newer = {
    layer_types: ['sliding_attention', 'full_attention'],
    rope_parameters: {
      full_attention: { rope_type: 'default', rope_theta: 1000 },
      sliding_attention: { rope_type: 'default', rope_theta: 100 },
    },
  };

  test('the newer settings are read', async () => {
    expect(await refusal({ ...modern, ...newer }, modern)).toBe('none');
  });

  test.each<[JsonObject, string]>([
    [{ rope_scaling: { rope_type: 'yarn' } }, 'rope_scaling'],
    [{ num_attention_heads: 8 }, 'heads are 1 wide'],
    [{ layer_types: ['full_attention'] }, 'layer_types is not a list of 2'],
    [
      { rope_parameters: { full_attention: { rope_type: 'yarn', rope_theta: 1 } } },
      'rope_parameters.full_attention.rope_type is "yarn"',
    ],
  ])('%j is refused', async (change, reason) => {
    expect(await refusal({ ...modern, ...change }, modern)).toContain(reason);
  });
});

describe('weights', () => {
  test('that are missing or do not fit are told all at once, and the rest counted', async () => {
    const message = await refusal({ ...CONFIG, vocab_size: 21, num_hidden_layers: 3 });
    expect(message).toContain('embeddings.word_embeddings.weight is [20, 8], not [21, 8]');
    expect(message).toContain('bert.encoder.layer.1.attention.self.query.weight is missing');
    expect(message).toMatch(/; and 21 more\. Fetch both again/);
  });
});

describe('the head of tokens', () => {
  const all = FAMILIES.flatMap(({ classes, modelTypes }) =>
    classes.map((begin, at) => [begin, modelTypes[at] ?? modelTypes[0]] as const),
  );

  test.each(all)(
    '%s: its tensors are missed by name, those of the other head are not',
    (begin, type) => {
      const config = {
        ...{ model_type: type, architectures: [`${begin}ForTokenClassification`] },
        ...{ num_hidden_layers: 1, num_labels: 7 },
      };
      const { task, parameters } = describeNetwork(config, new Map());
      expect(task).toBe('token');
      const problems = parameters.problems.join('; ');
      expect(problems).toContain('classifier.weight');
      expect(problems).toContain('classifier.bias');
      const names = [...parameters.needed.keys()].filter((name) => !/layers?[.]\d/.test(name));
      const head = names.filter((name) =>
        /^classifier|^head|pooler|pre_classifier|out_proj/.test(name),
      );
      const before = begin === 'ModernBert' ? ['head.dense.weight', 'head.norm.weight'] : [];
      expect(head).toEqual([...before, 'classifier.weight', 'classifier.bias']);
      expect(parameters.needed.get('classifier.weight')?.shape[0]).toBe(7);
    },
  );
});

describe('whatever config.json holds', () => {
  const KEYS = [
    ...['hidden_size', 'dim', 'num_attention_heads', 'num_hidden_layers', 'intermediate_size'],
    ...['vocab_size', 'max_position_embeddings', 'type_vocab_size', 'embedding_size', 'id2label'],
    ...['num_labels', 'hidden_act', 'activation', 'pad_token_id', 'layer_norm_eps', 'norm_eps'],
    ...['position_embedding_type', 'relative_attention', 'pos_att_type', 'position_buckets'],
    ...[
      'max_relative_positions',
      'share_att_key',
      'norm_rel_ebd',
      'conv_kernel_size',
      'conv_groups',
    ],
    ...['num_hidden_groups', 'inner_group_num', 'relative_attention_num_buckets', 'layer_types'],
    ...['rope_parameters', 'global_rope_theta', 'local_attention', 'global_attn_every_n_layers'],
  ];
  const TYPES = [
    ...['bert', 'roberta', 'xlm-roberta-xl', 'distilbert', 'electra', 'albert'],
    ...['mpnet', 'deberta-v2', 'modernbert'],
  ];
  const value = fc.oneof(
    fc.integer({ min: -3, max: 40 }),
    fc.constantFrom(2 ** 31, 2 ** 53, 1e300, 0.5, -0, true, false, null, 'c2p', 'layer_norm', ''),
    fc.jsonValue({ maxDepth: 2 }),
  );

  test.each(TYPES)('%s is described, or refused for a reason', (type) => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...KEYS), value, { maxKeys: 6 }), (settings) => {
        const config = { num_hidden_layers: 2, max_position_embeddings: 64, ...settings };
        const { parameters, problems } = describeNetwork(
          { ...config, model_type: type },
          new Map(),
        );
        // No weights are there: all of them are missed.
        expect(parameters.problems.length + problems.length).toBeGreaterThan(10);
        for (const { shape } of parameters.needed.values()) {
          if (problems.length === 0) expect(shape.every((size) => size > 0)).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });
});
