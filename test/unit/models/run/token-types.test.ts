import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { TextEncoder } from '../../../../src/models/run/tokenizer.js';
import { givesTokenTypes } from '../../../../src/models/run/tokens/token-types.js';

const FOLDER = fileURLToPath(new URL('../../../fixtures/reference/pair-bert', import.meta.url));
const NAMES = ['input_ids', 'attention_mask'];
/** BERT's own frame of one and two texts, in the ways in which a tokenizer.json may write it. */
const original = JSON.parse(readFileSync(path.join(FOLDER, 'tokenizer.json'), 'utf8')) as {
  readonly post_processor: { readonly special_tokens: Record<string, { readonly ids: number[] }> };
};
const special = original.post_processor.special_tokens;
const named = (token: string) => [token, special[token]?.ids[0]];
const BERT = { type: 'BertProcessing', cls: named('[CLS]'), sep: named('[SEP]') };
const BYTES = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };

const PROCESSORS = {
  TemplateProcessing: original.post_processor,
  BertProcessing: BERT,
  'RobertaProcessing, which makes none': {
    ...{ ...BERT, type: 'RobertaProcessing', trim_offsets: true, add_prefix_space: false },
  },
  'a sequence': { type: 'Sequence', processors: [BYTES, BERT] },
  'a sequence that frames nothing': { type: 'Sequence', processors: [BYTES] },
  ByteLevel: BYTES,
  none: null,
} as const;

/** Ids and types of one text and of two, by a tokenizer whose config has these fields. */
async function encoded(processor: unknown, config: object, kind: 'javascript' | 'native') {
  const folder = mkdtempSync(path.join(tmpdir(), 'plimsoll-types-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(FOLDER, folder, { recursive: true });
  const write = (name: string, value: object) =>
    writeFileSync(path.join(folder, name), JSON.stringify(value));
  write('tokenizer.json', { ...original, post_processor: processor });
  write('tokenizer_config.json', { tokenizer_class: 'BertTokenizer', ...config });
  const encoder = await TextEncoder.open(folder, 64, { kind });
  const pair = { text: 'the cat sat', pair: 'a dog ran', cut: 'longest_first' } as const;
  const encodings = await encoder.encodeAll(['the cat sat', pair]);
  return encodings.map(({ ids, types }) => ({ ids, types: types ?? ids.map(() => 0) }));
}

describe.each(['javascript', 'native'] as const)('the %s tokenizer', (kind) => {
  test.each(Object.entries(PROCESSORS))(
    'with the frame %s: a config that leaves token types out makes them 0, and changes no id',
    async (_name, processor) => {
      const typed = await encoded(processor, {}, kind);
      const untyped = await encoded(processor, { model_input_names: NAMES }, kind);
      expect(untyped.map(({ ids }) => ids)).toEqual(typed.map(({ ids }) => ids));
      for (const { ids, types } of untyped) expect(types).toEqual(ids.map(() => 0));
    },
  );

  test('keeps them where the config names them, or says nothing', async () => {
    for (const config of [{}, { model_input_names: [...NAMES, 'token_type_ids'] }]) {
      const [, pair] = await encoded(BERT, config, kind);
      expect(pair?.types).toContain(1);
    }
  });
});

test.each([
  [undefined, {}, true],
  ['Bert', {}, true],
  ['DistilBert', {}, false],
  ['BigBird', { model_input_names: [] }, false],
  ['DistilBert', { model_input_names: ['token_type_ids'] }, true],
  ['Bert', { model_input_names: NAMES }, false],
])('a tokenizer of the class %s with %j gives types: %s', (className, config, gives) => {
  expect(givesTokenTypes(config, className)).toBe(gives);
});
