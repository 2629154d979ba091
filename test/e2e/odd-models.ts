import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describeClassifier } from '../../bench/synthetic/encoder.js';
import { readTokenizer, vocabularySize } from '../../bench/synthetic/metadata.js';
import { planModelFile, writeModelFile } from '../../bench/synthetic/model-file.js';
import { changeConfig, copyModel } from './model-folders.js';
import { SPAM } from './texts.js';

/** Ids that strain a page: long, without blanks, in several folders, in other scripts. */
export const ODD_IDS = [
  'spam',
  'organisation/distilbert-base-multilingual-cased-finetuned-sentiment-analysis-q8',
  `no_separator_${'x'.repeat(87)}`,
  'W'.repeat(100),
  'a/b/deep-folder.v2.1/zero',
  'Übergrößenträger-für-Straßenschilder-im-Nordosten',
  'نموذج-تصنيف-الرسائل-العربية-الطويلة',
  '日本語の感情分類モデル',
  'mood-😀-👩‍👩‍👧‍👦-🏴‍☠️',
] as const;

export const MANY_LABELS = 3000;
export const MANY_LABELS_ID = 'intents-with-3000-labels';

/** Labels as people have them: sentences, emoji, right to left, 200 characters without a blank. */
export const ODD_LABELS = [
  'ü'.repeat(200),
  'تصنيف هذه الرسالة على أنها بريد مزعج غير مرغوب فيه (spam)',
] as const;
export const ODD_LABELS_ID = 'labels-of-200-characters';

const OTHERS = [
  '👩‍👩‍👧‍👦 family',
  'account.settings.security.two-factor-authentication.recovery-codes.regenerate',
  'Ich möchte mein Geld zurück, und zwar sofort und ohne weitere Rückfragen',
  'שאלה על החשבון',
];

/** A folder of models with odd names and labels. Names that this server does not take are there, too. */
export async function writeOddModels(models: string): Promise<void> {
  for (const id of ODD_IDS) await copyModel(models, id);
  const folder = await copyModel(models, ODD_LABELS_ID);
  await changeConfig(folder, (config) => ({ ...config, id2label: { ...ODD_LABELS } }));
  await writeManyLabels(path.join(models, MANY_LABELS_ID));
  const broken = await copyModel(models, `broken-${'and-its-reason-is-long-'.repeat(3)}`);
  const architectures = [`${'SomeVeryLongArchitectureName'.repeat(6)}ForCausalLM`];
  await changeConfig(broken, (config) => ({ ...config, architectures }));
}

export function manyLabels(): readonly string[] {
  return Array.from({ length: MANY_LABELS }, (_, index) => {
    const odd = OTHERS[index % 50];
    return odd === undefined ? `intent_${index}` : `${odd} ${index}`;
  });
}

/** A real classifier of one small layer with random weights, made by the project's own generator. */
async function writeManyLabels(folder: string): Promise<void> {
  const tokenizer = await readTokenizer(SPAM);
  const vocabulary = vocabularySize(tokenizer[0]?.content ?? new Uint8Array());
  const sizes = { layers: 1, hidden: 64, heads: 2, ffn: 128 };
  const shape = { ...sizes, vocabulary, maxPositions: 128, labels: MANY_LABELS };
  await mkdir(path.join(folder, 'onnx'), { recursive: true });
  const model = planModelFile(describeClassifier(shape), MANY_LABELS);
  await writeModelFile(path.join(folder, 'onnx', 'model.onnx'), model, 1);
  for (const { name, content } of tokenizer) await writeFile(path.join(folder, name), content);
  const config = {
    architectures: ['BertForSequenceClassification'],
    model_type: 'bert',
    id2label: { ...manyLabels() },
    max_position_embeddings: shape.maxPositions,
    pad_token_id: 0,
  };
  await writeFile(path.join(folder, 'config.json'), JSON.stringify(config));
}
