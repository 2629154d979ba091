/** The texts, and pairs of texts, on which forms of a model are compared. Every built-in one is of the project's own making. */
import path from 'node:path';
import { messageOf, PlimsollError } from '../../../errors.js';
import { asNoFile, readBounded } from '../../intake/folder/files.js';
import { isObject } from '../../intake/folder/json.js';
import { PROBE_FILE } from '../../intake/verification.js';
import type { RowInput } from '../../run/row-input.js';
import { WORDS } from '../probe-texts.js';

/** What classifiers are asked: mail, reviews, questions, complaints, orders, news. */
const EVERYDAY: readonly string[] = [
  'Congratulations! You have won a prize of 5,000 dollars. Click here to claim it now.',
  'Hi Anna, are we still meeting for lunch on Thursday? I booked a table for two.',
  'The film was slow, far too long, and the ending made no sense at all.',
  'What a wonderful book; I could not put it down and cried at the end.',
  'Where is my order? I paid two weeks ago and nobody answers my messages.',
  'You are an idiot and nobody here wants to read your stupid comments.',
  'Thank you so much for your help, the new cable works perfectly.',
  'Please reset my password, I cannot log in since this morning.',
  'The central bank left its interest rate unchanged on Wednesday.',
  'Turn off the lights in the kitchen and play some quiet music.',
  'How do I cancel my subscription before the next payment?',
  'It was okay, I guess. Not bad, not great.',
  'URGENT: your account will be closed today unless you confirm your card number!!!',
  'The team lost three to one, although it had more shots and more of the ball.',
  'Meeting notes attached. Next steps: review the budget, call the supplier.',
  'I love it',
  'never again',
  'ok',
  'Buy cheap pills online, no prescription needed, 80% off today only',
  'The patient reports mild pain in the left knee after running.',
  'Das Essen war kalt und der Kellner unfreundlich, wir kommen nicht wieder.',
  'Sehr geehrte Damen und Herren, hiermit kündige ich meinen Vertrag zum Monatsende.',
  'Un produit excellent, livré en deux jours, je le recommande à tous.',
  'Bonjour, pouvez-vous me dire quand le magasin ouvre dimanche ?',
  'El hotel estaba limpio, pero el ruido de la calle no nos dejó dormir.',
  '¡Gana dinero desde casa! Envía tus datos bancarios ahora mismo.',
  'Il treno è in ritardo di quaranta minuti e nessuno ci ha avvisati.',
  'O telefone parou de funcionar depois de uma semana, quero o meu dinheiro de volta.',
  'Ten film był naprawdę świetny, polecam każdemu.',
  'Спасибо, всё пришло вовремя и работает отлично.',
  'Ужасный сервис, больше никогда сюда не обращусь.',
  'Ürün çok kötü, hiç memnun kalmadım.',
  'المنتج رائع والتوصيل سريع جدا',
  'यह फिल्म बहुत अच्छी थी, सबको देखनी चाहिए।',
  '这家餐厅的服务很差，等了一个小时才上菜。',
  'とても良い商品でした。また買いたいと思います。',
  '배송이 너무 늦고 상품도 망가져 있었어요.',
  'Kualitas barang sesuai harga, pengiriman cepat.',
  'Hàng đẹp, giao nhanh, sẽ ủng hộ shop lần sau.',
  'The quarterly report shows that revenue grew by 12 % while costs fell slightly.',
];

/** Everyday texts joined to one, this many at a time. */
const JOINED = [2, 2, 2, 3, 3, 4, 5, 8];
/** Words of the beginnings that are tried by themselves. */
const BEGINNINGS = [2, 4, 7];

/** About 200 texts of many languages, from one word to some hundred. The same each time. */
export function builtInTexts(): readonly string[] {
  const beginnings = EVERYDAY.flatMap((text) =>
    BEGINNINGS.map((words) => text.split(' ').slice(0, words).join(' ')),
  );
  const joined = JOINED.map((count, at) =>
    Array.from({ length: count }, (_, n) => EVERYDAY[(7 * at + 11 * n) % EVERYDAY.length]).join(
      ' ',
    ),
  );
  return [...new Set([...EVERYDAY, ...WORDS, ...beginnings, ...joined])];
}

/** Labels of models that say how two texts stand to one another. */
const RELATIONS = /^(?:not[ _-]?)?(?:entail|contradict|paraphrase|duplicate|equivalen)/i;
/** Names that transformers gives to labels without a name. */
const UNNAMED = /^LABEL_\d+$/;

/** What a model is used with: single texts, pairs of texts, or possibly either. */
export type ProbeKind = 'texts' | 'pairs' | 'both';

/**
 * What a model is probed with. Pure.
 *
 * 1. It takes no pairs: texts.
 * 2. A label names a relation of two texts (NLI, paraphrases): pairs. Single texts are not what it was trained on.
 * 3. One output (cross-encoders, but also ratings of a text), or labels without names: both.
 * 4. Labels with other names: texts.
 */
export function probeKindOf(labels: readonly string[], takesPairs: boolean): ProbeKind {
  if (!takesPairs) return 'texts'; // 1
  if (labels.some((label) => RELATIONS.test(label))) return 'pairs'; // 2
  const isOpen = labels.length === 1 || labels.every((label) => UNNAMED.test(label));
  return isOpen ? 'both' : 'texts'; // 3, 4
}

/** Places of the second text, counted from the first: itself, its continuation, one on another matter. */
const SECOND = [0, 1, 13, 29];
/** How a hypothesis is put; the text itself, for what rerankers and paraphrase models are given. */
const FRAMES: readonly ((text: string) => string)[] = [
  (text) => text,
  (text) => `This example is ${text.split(' ').slice(0, 3).join(' ').toLowerCase()}.`,
];

/** About as many pairs as there are built-in texts: equal, alike and unlike ones, short beside long. */
export function builtInPairs(): readonly RowInput[] {
  const texts = builtInTexts();
  return texts.map((text, at) => {
    const second = texts[(at + (SECOND[at % SECOND.length] ?? 0)) % texts.length] ?? '';
    const frame = FRAMES[Math.floor(at / SECOND.length) % FRAMES.length];
    return { text, pair: frame?.(second) ?? second, cut: 'longest_first' };
  });
}

/** The built-in probes of a model. Where both may be asked there are half as many of each. */
export function builtInProbes(kind: ProbeKind): readonly RowInput[] {
  if (kind === 'texts') return builtInTexts();
  if (kind === 'pairs') return builtInPairs();
  const pairs = builtInPairs();
  return builtInTexts().map((text, at) => (at % 2 === 0 ? text : (pairs[at] ?? text)));
}

/**
 * An order of texts in which each batch holds one of every length: short beside long. Pure.
 *
 * @param lengths tokens of each text
 * @returns their indexes
 */
export function unlikeNeighbours(lengths: readonly number[], batch: number): readonly number[] {
  const byLength = lengths.map((_, at) => at).sort((a, b) => (lengths[a] ?? 0) - (lengths[b] ?? 0));
  const batches = Math.ceil(byLength.length / batch);
  return Array.from({ length: batches * batch }, (_, at) => {
    return byLength[(at % batch) * batches + Math.floor(at / batch)];
  }).filter((index) => index !== undefined);
}

const MOST_BYTES = 2 ** 20;
const MOST_LINES = 1000;

/**
 * The owner's texts, and pairs of texts.
 *
 * @throws PlimsollError MODEL_UNUSABLE if the file cannot be used, with the line
 */
export async function ownProbes(folder: string): Promise<readonly RowInput[]> {
  const content = await readBounded(path.join(folder, PROBE_FILE), MOST_BYTES).catch(
    (error: unknown) => {
      throw unusable(asNoFile(error).message);
    },
  );
  const lines = content.toString('utf8').split('\n');
  const texts = lines.flatMap((line, at) => (line.trim() === '' ? [] : [probeOf(line, at + 1)]));
  if (texts.length > MOST_LINES) throw unusable(`it has more than ${MOST_LINES} texts`);
  return texts;
}

function probeOf(line: string, number: number): RowInput {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'string') return value;
    if (isObject(value) && typeof value.text === 'string') {
      const { text, text_pair: pair } = value;
      if (pair === undefined || pair === null) return text;
      if (typeof pair === 'string') return { text, pair, cut: 'longest_first' };
    }
  } catch (error) {
    throw unusable(`line ${number}: ${messageOf(error).slice(0, 100)}`);
  }
  throw unusable(`line ${number} is neither a text nor an object with "text" (and "text_pair")`);
}

function unusable(reason: string): PlimsollError {
  return new PlimsollError('MODEL_UNUSABLE', `${PROBE_FILE} cannot be used: ${reason}`);
}
