import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { generateSyntheticModel } from '../../../bench/synthetic/index.js';
import { integerField } from '../../../src/models/compile/onnx/protobuf-writer.js';

const SPECIAL_TOKENS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
const VOCABULARY_SIZE = 200;

// A model is 45 MB; on a busy machine, writing and hashing a few takes more than the usual 5 s.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let folder: string;
let tokenizerDirectory: string;

/** A WordPiece tokenizer of 200 tokens: the special ones and `w0`, `w1`, .. */
async function writeTokenizer(directory: string): Promise<void> {
  const words = Array.from({ length: VOCABULARY_SIZE - SPECIAL_TOKENS.length }, (_, n) => `w${n}`);
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  const piece = (token: string) => ({ SpecialToken: { id: token, type_id: 0 } });
  const pair = [piece('[CLS]'), { Sequence: { id: 'A', type_id: 0 } }, piece('[SEP]')];
  const special = (token: string, id: number) => [token, { id: token, ids: [id], tokens: [token] }];
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: SPECIAL_TOKENS.map((content, id) => ({ id, content, ...flags, special: true })),
    normalizer: { type: 'BertNormalizer', lowercase: true },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single: pair,
      pair: [...pair, { Sequence: { id: 'B', type_id: 1 } }, piece('[SEP]')],
      special_tokens: Object.fromEntries([special('[CLS]', 2), special('[SEP]', 3)]),
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries([...SPECIAL_TOKENS, ...words].map((token, id) => [token, id])),
    },
  };
  const config = { tokenizer_class: 'BertTokenizer', pad_token: '[PAD]', unk_token: '[UNK]' };
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'tokenizer.json'), JSON.stringify(tokenizer));
  await writeFile(join(directory, 'tokenizer_config.json'), JSON.stringify(config));
}

function modelPath(name: string): string {
  return join(folder, name, 'onnx', 'model.onnx');
}

function generate(name: string, seed: number) {
  const directory = join(folder, name);
  return generateSyntheticModel({ shape: 'minilm', seed, directory, tokenizerDirectory });
}

async function sha256(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

/** Logits of rows of token ids, padded to the longest; one array per row. */
async function classify(session: InferenceSession, rows: readonly number[][]): Promise<number[][]> {
  const length = Math.max(...rows.map((row) => row.length));
  const ids = new BigInt64Array(rows.length * length);
  const mask = new BigInt64Array(rows.length * length);
  rows.forEach((row, index) => {
    ids.set(row.map(BigInt), index * length);
    mask.fill(1n, index * length, index * length + row.length);
  });
  const { logits } = await session.run({
    input_ids: new Tensor('int64', ids, [rows.length, length]),
    attention_mask: new Tensor('int64', mask, [rows.length, length]),
  });
  if (!(logits?.data instanceof Float32Array)) {
    throw new Error('the model gave no float logits');
  }
  const values = [...logits.data];
  const labels = values.length / rows.length;
  return rows.map((_, index) => values.slice(index * labels, (index + 1) * labels));
}

/** The largest difference between two lists of the same length. */
function distance(left: readonly number[] = [], right: readonly number[] = []): number {
  expect(left).toHaveLength(right.length);
  return Math.max(...left.map((value, index) => Math.abs(value - (right[index] ?? Number.NaN))));
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plimsoll-synthetic-'));
  tokenizerDirectory = join(folder, 'tokenizer');
  await writeTokenizer(tokenizerDirectory);
  await generate('first', 1);
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe.each([
  ['q8', 'model_quantized.onnx', 0.3, 0.3],
  ['fp16', 'model_fp16.onnx', 0.51, 0.05],
] as const)('the same model in %s', (dtype, file, mostSize, mostDistance) => {
  it('is alone in its folder, smaller, made once, and says nearly the same', async () => {
    const directory = join(folder, dtype);
    const options = { shape: 'minilm', seed: 1, directory, tokenizerDirectory, dtype } as const;
    const made = await generateSyntheticModel(options);
    expect(await readdir(join(directory, 'onnx'))).toEqual([file]);
    const fp32 = await stat(modelPath('first'));
    expect(made.bytes).toBeLessThan(fp32.size * mostSize);
    const { mtimeMs } = await stat(join(directory, 'onnx', file));
    await generateSyntheticModel(options);
    expect((await stat(join(directory, 'onnx', file))).mtimeMs).toBe(mtimeMs);
    const rows = [[2, 17, 99, 3]];
    const paths = [modelPath('first'), join(directory, 'onnx', file)];
    const [exact = [], other = []] = await Promise.all(
      paths.map(async (path) => {
        const session = await InferenceSession.create(path, { intraOpNumThreads: 1 });
        return classify(session, rows);
      }),
    );
    expect(distance(other[0], exact[0])).toBeLessThan(mostDistance);
  });
});

describe('the generated model', () => {
  let session: InferenceSession;
  let tokenizer: Tokenizer;

  beforeAll(async () => {
    // Severity 4: the run that is meant to fail stays silent.
    const options = { intraOpNumThreads: 1, logSeverityLevel: 4 } as const;
    session = await InferenceSession.create(modelPath('first'), options);
    const directory = join(folder, 'first');
    const json: object = JSON.parse(await readFile(join(directory, 'tokenizer.json'), 'utf8'));
    const config = await readFile(join(directory, 'tokenizer_config.json'), 'utf8');
    tokenizer = new Tokenizer(json, JSON.parse(config));
  });

  afterAll(async () => {
    await session.release();
  });

  it('has the inputs and the output of a classifier', () => {
    expect(session.inputNames).toEqual(['input_ids', 'attention_mask']);
    expect(session.inputMetadata).toMatchObject([
      { type: 'int64', shape: ['batch', 'sequence'] },
      { type: 'int64', shape: ['batch', 'sequence'] },
    ]);
    expect(session.outputMetadata).toMatchObject([
      { name: 'logits', type: 'float32', shape: ['batch', 2] },
    ]);
  });

  it('tells texts apart', async () => {
    const texts = Array.from({ length: 24 }, (_, n) => `w${n} w${(n * 7) % 150} w${n + 40}`);
    const rows = texts.map((text) => tokenizer.encode(text).ids);
    expect(rows.map((row) => row.length)).toEqual(Array.from({ length: 24 }, () => 5));
    const margins = (await classify(session, rows)).map(([a = NaN, b = NaN]) => a - b);
    expect(margins.every(Number.isFinite)).toBe(true);
    expect(new Set(margins.map((margin) => margin.toFixed(3))).size).toBeGreaterThan(20);
    expect(Math.max(...margins) - Math.min(...margins)).toBeGreaterThan(1);
    expect(new Set(margins.map(Math.sign)).size).toBe(2);
  });

  it('gives a row the same logits alone and in a padded batch', async () => {
    const rows = [
      [2, 17, 93, 3],
      [2, ...Array.from({ length: 60 }, (_, n) => 5 + ((n * 31) % 190)), 3],
      [2, 3],
    ];
    const together = await classify(session, rows);
    for (const [index, row] of rows.entries()) {
      const [alone] = await classify(session, [row]);
      expect(distance(together[index], alone)).toBeLessThan(1e-4);
    }
  });

  it('depends on the order of tokens', async () => {
    const [forward, backward] = await classify(session, [
      [2, 10, 20, 30, 3],
      [2, 30, 20, 10, 3],
    ]);
    expect(distance(forward, backward)).toBeGreaterThan(1e-3);
  });

  it('takes up to maxPositions tokens and no more', async () => {
    const row = (length: number) => Array.from({ length }, (_, n) => 5 + (n % 190));
    const [logits] = await classify(session, [row(512)]);
    expect(logits?.every(Number.isFinite)).toBe(true);
    await expect(classify(session, [row(513)])).rejects.toThrow(/position_embeddings/);
  });
});

describe('the generator', () => {
  it('gives the same bytes for the same seed and others for another', async () => {
    await generate('same', 1);
    await generate('other', 2);
    const [first, same, other] = await Promise.all(
      ['first', 'same', 'other'].map((name) => sha256(modelPath(name))),
    );
    expect(same).toBe(first);
    expect(other).not.toBe(first);
  });

  it('reports the size and writes the configuration', async () => {
    const model = await generate('first', 1);
    expect((await stat(modelPath('first'))).size).toBe(model.bytes);
    expect(model.parameters).toBe(11_069_570);
    const config: unknown = JSON.parse(await readFile(join(folder, 'first/config.json'), 'utf8'));
    expect(config).toMatchObject({
      model_type: 'bert',
      id2label: { '0': 'SYNTHETIC_0', '1': 'SYNTHETIC_1' },
      vocab_size: VOCABULARY_SIZE,
      max_position_embeddings: 512,
      _synthetic: { shape: 'minilm', seed: 1 },
    });
    expect((await readdir(join(folder, 'first'))).sort()).toEqual(
      ['README.md', 'config.json', 'onnx', 'tokenizer.json', 'tokenizer_config.json'].sort(),
    );
    expect(await readdir(join(folder, 'first/onnx'))).toEqual(['model.onnx']);
  });

  it('leaves a complete model alone, and replaces a broken or different one', async () => {
    await generate('again', 5);
    const first = await stat(modelPath('again'), { bigint: true });
    await generate('again', 5);
    expect((await stat(modelPath('again'), { bigint: true })).mtimeNs).toBe(first.mtimeNs);
    await writeFile(modelPath('again'), 'cut short');
    await generate('again', 5);
    expect((await stat(modelPath('again'))).size).toBe(Number(first.size));
    const hash = await sha256(modelPath('again'));
    await generate('again', 6);
    expect(await sha256(modelPath('again'))).not.toBe(hash);
  });

  it('refuses a count of labels that is not one', async () => {
    const directory = join(folder, 'refused');
    const options = { shape: 'minilm', seed: 1, directory, tokenizerDirectory } as const;
    await expect(generateSyntheticModel({ ...options, labels: 0 })).rejects.toThrow(/labels/);
  });
});

describe('protobuf', () => {
  it('encodes integers as the format documents them', () => {
    expect([...integerField(1, 150)]).toEqual([0x08, 0x96, 0x01]);
    const ones = Array.from({ length: 9 }, () => 0xff);
    expect([...integerField(2, -1)]).toEqual([0x10, ...ones, 0x01]);
    expect(integerField(3, 438_032_306).length).toBe(6);
  });
});
