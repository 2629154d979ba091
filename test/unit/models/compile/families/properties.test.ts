/** What holds for every model of a family, whatever its settings: tried on random ones. */
import { mkdirSync, renameSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileSafetensors } from '../../../../../src/models/compile/compile-safetensors.js';
import type { JsonObject } from '../../../../../src/models/intake/folder/json.js';
import { temporaryFolder } from '../../folders.js';
import { type Dtype, encode, type Named, randomTensors, writeFolder } from '../checkpoints.js';
import { distance, openMapped, openRaw, type Row, run, runAlone } from '../graphs.js';

const VOCABULARY = 50;
const LONGEST = 24;
const PAD = 1;

/** Settings that all of them have, under their usual names. */
const usual = fc
  .record({
    heads: fc.integer({ min: 1, max: 4 }),
    headSize: fc.constantFrom(2, 4, 6),
    num_hidden_layers: fc.integer({ min: 1, max: 3 }),
    intermediate_size: fc.integer({ min: 3, max: 20 }),
    hidden_act: fc.constantFrom('gelu', 'gelu_new', 'relu', 'silu', 'quick_gelu', 'tanh'),
    layer_norm_eps: fc.constantFrom(1e-12, 1e-7, 1e-5, 1e-3),
    type_vocab_size: fc.integer({ min: 1, max: 3 }),
    labels: fc.integer({ min: 1, max: 5 }),
  })
  .map(({ heads, headSize, labels, ...rest }) => ({
    ...rest,
    hidden_size: heads * headSize,
    num_attention_heads: heads,
    num_labels: labels,
    vocab_size: VOCABULARY,
    max_position_embeddings: LONGEST + 2,
    pad_token_id: PAD,
  }));

const relative = fc.constantFrom('absolute', 'relative_key', 'relative_key_query');
const task = fc.constantFrom('ForSequenceClassification', 'ForTokenClassification');

/** Of each model_type: the beginning of its classes' names, and its own settings. */
const FAMILIES: Readonly<Record<string, readonly [string, fc.Arbitrary<JsonObject>]>> = {
  bert: ['Bert', fc.record({ position_embedding_type: relative })],
  roberta: ['Roberta', fc.record({ position_embedding_type: relative })],
  'xlm-roberta-xl': ['XLMRobertaXL', fc.record({ position_embedding_type: relative })],
  electra: ['Electra', fc.record({ embedding_size: fc.integer({ min: 2, max: 9 }) })],
  albert: [
    'Albert',
    fc.record({
      embedding_size: fc.integer({ min: 2, max: 9 }),
      num_hidden_groups: fc.constant(1),
      inner_group_num: fc.integer({ min: 1, max: 2 }),
      position_embedding_type: relative,
    }),
  ],
  mpnet: ['MPNet', fc.record({ relative_attention_num_buckets: fc.constantFrom(32, 40) })],
  'deberta-v2': [
    'DebertaV2',
    fc.record({
      type_vocab_size: fc.integer({ min: 0, max: 2 }),
      relative_attention: fc.boolean(),
      position_biased_input: fc.boolean(),
      share_att_key: fc.boolean(),
      norm_rel_ebd: fc.constantFrom('none', 'layer_norm'),
      pos_att_type: fc.subarray(['c2p', 'p2c']),
      position_buckets: fc.constantFrom(-1, 4, 7, 64),
      conv_kernel_size: fc.constantFrom(0, 3, 5),
    }),
  ],
  modernbert: [
    'ModernBert',
    fc.record({
      classifier_pooling: fc.constantFrom('cls', 'mean'),
      global_attn_every_n_layers: fc.integer({ min: 1, max: 3 }),
      local_attention: fc.integer({ min: 1, max: 12 }),
      norm_bias: fc.boolean(),
      attention_bias: fc.boolean(),
      mlp_bias: fc.boolean(),
    }),
  ],
  distilbert: ['DistilBert', fc.record({ hidden_dim: fc.integer({ min: 3, max: 20 }) })],
};

function configs(type: string): fc.Arbitrary<JsonObject> {
  const [begin, own] = FAMILIES[type] ?? ['', fc.constant({})];
  return fc.tuple(usual, own, task).map(([common, special, head]) => ({
    ...{ ...common, ...special, model_type: type, architectures: [`${begin}${head}`] },
  }));
}

const rows: fc.Arbitrary<readonly Row[]> = fc
  .array(
    fc.array(fc.integer({ min: 2, max: VOCABULARY - 1 }), { minLength: 1, maxLength: LONGEST }),
    { minLength: 2, maxLength: 4 },
  )
  .map((all) => all.map((ids) => ({ ids })));

describe('a row of any model', () => {
  test.each(Object.keys(FAMILIES))(
    'of %s has the same logits alone and among others',
    async (type) => {
      await fc.assert(
        fc.asyncProperty(configs(type), fc.integer(), rows, async (config, seed, batch) => {
          const folder = temporaryFolder();
          const weights = encode(randomTensors(config, seed));
          writeFolder(folder, config, { 'model.safetensors': weights });
          const raw = await compileSafetensors(folder, path.join(folder, 'work'));
          const session = await openRaw(raw);
          const alone = await runAlone(session, batch, PAD);
          expect(distance(await run(session, batch, PAD), alone)).toBeLessThan(1e-5);
          const mapped = await openMapped(raw, folder);
          expect(distance(await run(mapped, batch, PAD), alone)).toBeLessThan(1e-4);
        }),
        { numRuns: 12 },
      );
    },
    60_000,
  );
});

const CONFIG: JsonObject = {
  ...{ model_type: 'bert', architectures: ['BertForSequenceClassification'] },
  ...{ vocab_size: VOCABULARY, hidden_size: 12, num_attention_heads: 3, num_hidden_layers: 2 },
  ...{ intermediate_size: 20, max_position_embeddings: 32 },
};
const TENSORS = randomTensors(CONFIG, 7);
const BATCH: readonly Row[] = [{ ids: [2, 9, 30, 4, 3] }, { ids: [2, 3] }];

/** The same weights under other names. */
function renamed(rename: (name: string) => string): readonly Named[] {
  return TENSORS.map((tensor) => ({ ...tensor, name: rename(tensor.name) }));
}

function sharded(): Readonly<Record<string, Buffer | string>> {
  const map: Record<string, string> = {};
  const shards: [Named[], Named[]] = [[], []];
  TENSORS.forEach((tensor, at) => {
    const shard = at % 2;
    shards[shard === 0 ? 0 : 1].push(tensor);
    map[tensor.name] = `model-0000${shard + 1}-of-00002.safetensors`;
  });
  return {
    'model.safetensors.index.json': JSON.stringify({ metadata: {}, weight_map: map }),
    'model-00001-of-00002.safetensors': encode(shards[0]),
    'model-00002-of-00002.safetensors': encode(shards[1], 'BF16'),
  };
}

const whole = (tensors: readonly Named[], dtype?: Dtype, padding?: number) => ({
  'model.safetensors': encode(tensors, dtype, padding),
});
const extra = (name: string, shape: readonly number[]): Named => ({
  ...{ name, shape, values: new Float32Array(shape.reduce((a, b) => a * b, 1)) },
});

describe('the same weights give the same logits', () => {
  const gamma = renamed((name) =>
    name.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta'),
  );
  const ways: readonly (readonly [string, Readonly<Record<string, Buffer | string>>])[] = [
    ['as F16', whole(TENSORS, 'F16')],
    ['as BF16', whole(TENSORS, 'BF16')],
    ['behind a header of an odd length', whole(TENSORS, 'F32', 3)],
    ['in another order', whole([...TENSORS].reverse())],
    ['with gamma and beta', whole(gamma)],
    ['without "bert."', whole(renamed((name) => name.replace(/^bert\./, '')))],
    ['beside others', whole([extra('cls.predictions.bias', [9]), ...TENSORS, extra('x', [0])])],
    ['in shards of two types', sharded()],
    [
      'with an index beside the whole file',
      { ...whole(TENSORS), 'model.safetensors.index.json': '{' },
    ],
  ];

  test.each(ways)('%s', async (_name, files) => {
    const logits = async (content: Readonly<Record<string, Buffer | string>>) => {
      const folder = writeFolder(temporaryFolder(), CONFIG, content);
      const raw = await compileSafetensors(folder, path.join(folder, 'work'));
      return run(await openRaw(raw), BATCH, 0);
    };
    const plain = await logits(whole(TENSORS));
    expect(new Set(plain.flat()).size).toBeGreaterThan(2);
    expect(distance(await logits(files), plain)).toBeLessThan(1e-6);
  });
});

describe('files that are links, as in the cache of a hub', () => {
  /** Moves the model's weights into `blobs` (or two of them) and links to them. */
  async function linked(files: Readonly<Record<string, Buffer | string>>, folders: number) {
    const root = temporaryFolder();
    const folder = writeFolder(path.join(root, 'snapshot'), CONFIG, files);
    Object.keys(files).forEach((name, at) => {
      const blobs = path.join(root, `blobs-${at % folders}`);
      mkdirSync(blobs, { recursive: true });
      renameSync(path.join(folder, name), path.join(blobs, `blob${at}`));
      symlinkSync(path.join('..', path.basename(blobs), `blob${at}`), path.join(folder, name));
    });
    const raw = await compileSafetensors(folder, path.join(root, 'work'));
    return { raw, logits: await run(await openRaw(raw), BATCH, 0) };
  }

  const inFloats = (files: Readonly<Record<string, Buffer | string>>) => ({
    ...files,
    'model-00002-of-00002.safetensors': encode(TENSORS.filter((_tensor, at) => at % 2 === 1)),
  });

  test('are followed; weights of several folders are gathered', async () => {
    const plain = await linked(whole(TENSORS), 1);
    expect(plain.raw.widenedBytes).toBe(0);
    expect(path.basename(plain.raw.dataFolder)).toBe('blobs-0');
    const shards = await linked(inFloats(sharded()), 1);
    expect(shards.raw.widenedBytes).toBe(0);
    const scattered = await linked(inFloats(sharded()), 2);
    expect(scattered.raw.widenedBytes).toBeGreaterThanOrEqual(scattered.raw.weightBytes);
    expect(distance(shards.logits, plain.logits)).toBeLessThan(1e-6);
    expect(distance(scattered.logits, plain.logits)).toBeLessThan(1e-6);
  });
});
