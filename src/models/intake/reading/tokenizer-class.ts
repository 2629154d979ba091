/**
 * Which class of transformers (4.57) a model's tokenizer has, and which of them can be made of a vocabulary alone.
 * Pure.
 */
import type { JsonObject } from '../folder/json.js';

/** How a tokenizer is made of its vocabulary: the converters of transformers' `convert_slow_tokenizer.py`. */
export type VocabularyKind = 'bert' | 'funnel' | 'mpnet' | 'roberta' | 'deberta' | 'gpt2';

/** Classes that BertConverter serves, by their names without `Tokenizer`. */
const BERT_CLASSES =
  /^(?:Bert|DistilBert|Electra|MobileBert|SqueezeBert|ConvBert|LayoutLM|Lxmert|RetriBert)$/;
const ROBERTA_CLASSES = /^(?:Roberta|Longformer|Bart|LED|MVP|Mvp)$/;

/** The class that AutoTokenizer takes for a `model_type`; those that are left out have none that is known here. */
const CLASS_OF_TYPE: Readonly<Record<string, string>> = {
  ...{ bert: 'Bert', 'megatron-bert': 'Bert', nezha: 'Bert', qdqbert: 'Bert', ernie: 'Bert' },
  ...{
    visual_bert: 'Bert',
    distilbert: 'DistilBert',
    electra: 'Electra',
    mobilebert: 'MobileBert',
  },
  ...{ squeezebert: 'SqueezeBert', convbert: 'ConvBert', layoutlm: 'LayoutLM', lxmert: 'Lxmert' },
  ...{ retribert: 'RetriBert', funnel: 'Funnel', mpnet: 'MPNet', deberta: 'Deberta' },
  ...{ roberta: 'Roberta', 'roberta-prelayernorm': 'Roberta', 'data2vec-text': 'Roberta' },
  ...{ mra: 'Roberta', ibert: 'Roberta', longformer: 'Longformer', bart: 'Bart', led: 'LED' },
  ...{ mvp: 'MVP', gpt2: 'GPT2', gpt_neo: 'GPT2', gptj: 'GPT2', opt: 'GPT2' },
  ...{ roformer: 'RoFormer', flaubert: 'Flaubert', xlm: 'XLM', esm: 'Esm', luke: 'Luke' },
  ...{ ctrl: 'CTRL', 'openai-gpt': 'OpenAIGPT' },
};

/**
 * The class, as AutoTokenizer finds it, without `Tokenizer` and `Fast`.
 *
 * 1. As tokenizer_config.json names it.
 * 2. As config.json does.
 * 3. By the model's type.
 *
 * @returns the bare type where no class of it is known; undefined if no file says anything
 */
export function tokenizerClass(tokenizer: JsonObject, model: JsonObject): string | undefined {
  for (const named of [tokenizer.tokenizer_class, model.tokenizer_class]) {
    if (typeof named === 'string' && named !== '') {
      return named.replace(/Fast$/, '').replace(/Tokenizer$/, ''); // 1, 2
    }
  }
  const type = model.model_type;
  return typeof type === 'string' ? (CLASS_OF_TYPE[type] ?? type) : undefined; // 3
}

/** How the class makes a tokenizer of a vocabulary; undefined if that is not known here. */
export function vocabularyKind(name: string): VocabularyKind | undefined {
  if (BERT_CLASSES.test(name)) return 'bert';
  if (ROBERTA_CLASSES.test(name)) return 'roberta';
  const others = { Funnel: 'funnel', MPNet: 'mpnet', Deberta: 'deberta', GPT2: 'gpt2' } as const;
  return Object.entries(others).find(([known]) => known === name)?.[1];
}

/** Classes that cut a text into words with another program first, which no tokenizer.json can hold. */
const SEGMENTERS: Readonly<Record<string, string>> = {
  RoFormer: 'jieba',
  BertJapanese: 'MeCab, Sudachi or Juman++',
};
/** Classes that transformers has in Python alone: it writes no tokenizer.json for them. */
const PYTHON_ONLY = /^(?:Phobert|Bertweet|XLM|Flaubert|CTRL|Esm|BertJapanese|ProphetNet|Tapas)$/;

const SAVE =
  "To mend it, run in its folder: python -c \"from transformers import AutoTokenizer as T; T.from_pretrained('.').save_pretrained('.')\"";
const OTHER_MODEL = 'take a model whose tokenizer has a tokenizer.json';

/** Which vocabulary a folder without a tokenizer.json has. */
export type VocabularyFiles = 'vocab.txt' | 'vocab.json';

/**
 * Why a tokenizer cannot be had from these files; undefined if it can.
 *
 * 1. Its words are cut by a program that is not here.
 * 2. A tokenizer.json says all else.
 * 3. A vocabulary is converted only for classes whose conversion is known, from the file that they have.
 */
export function tokenizerProblem(
  tokenizer: JsonObject,
  model: JsonObject,
  vocabulary: VocabularyFiles | undefined,
): string | undefined {
  const name = tokenizerClass(tokenizer, model);
  if (name === undefined) return undefined;
  const segmenter = SEGMENTERS[name];
  const isBasic = name === 'BertJapanese' && (tokenizer.word_tokenizer_type ?? 'basic') === 'basic';
  if (segmenter !== undefined && !(isBasic && vocabulary === undefined)) {
    return `its tokenizer is of the class ${name}, which cuts texts into words with ${segmenter}; tokenizer.json cannot hold that, and it cannot be served: ${OTHER_MODEL}`; // 1
  }
  if (vocabulary === undefined) return undefined; // 2
  const kind = vocabularyKind(name);
  const isText = kind === 'bert' || kind === 'funnel' || kind === 'mpnet';
  if (kind !== undefined && isText === (vocabulary === 'vocab.txt')) {
    if (kind !== 'gpt2' || tokenizer.add_bos_token !== true) return undefined; // 3
  }
  const what = `its tokenizer is of the class ${name.slice(0, 60)}, which is not made of ${vocabulary} here, and tokenizer.json is missing`;
  return PYTHON_ONLY.test(name)
    ? `${what}; transformers has that class in Python alone, and writes no tokenizer.json for it: ${OTHER_MODEL}`
    : `${what}. ${SAVE}`;
}
