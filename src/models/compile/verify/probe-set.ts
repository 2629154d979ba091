/** The texts on which forms of a model are compared. Every built-in text is of the project's own making. */
import path from 'node:path';
import { messageOf, PlimsollError } from '../../../errors.js';
import { asNoFile, readBounded } from '../../intake/folder/files.js';
import { PROBE_FILE } from '../../intake/verification.js';
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
 * The owner's texts.
 *
 * @throws PlimsollError MODEL_UNUSABLE if the file cannot be used, with the line
 */
export async function ownTexts(folder: string): Promise<readonly string[]> {
  const content = await readBounded(path.join(folder, PROBE_FILE), MOST_BYTES).catch(
    (error: unknown) => {
      throw unusable(asNoFile(error).message);
    },
  );
  const lines = content.toString('utf8').split('\n');
  const texts = lines.flatMap((line, at) => (line.trim() === '' ? [] : [textOf(line, at + 1)]));
  if (texts.length > MOST_LINES) throw unusable(`it has more than ${MOST_LINES} texts`);
  return texts;
}

function textOf(line: string, number: number): string {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'string') return value;
    if (typeof value === 'object' && value !== null && 'text' in value) {
      if (typeof value.text === 'string') return value.text;
    }
  } catch (error) {
    throw unusable(`line ${number}: ${messageOf(error).slice(0, 100)}`);
  }
  throw unusable(`line ${number} is neither a text nor an object with "text"`);
}

function unusable(reason: string): PlimsollError {
  return new PlimsollError('MODEL_UNUSABLE', `${PROBE_FILE} cannot be used: ${reason}`);
}
