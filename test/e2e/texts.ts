import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

/** The models that come with the package. */
export const BUNDLED_MODELS = fileURLToPath(new URL('../../models', import.meta.url));
/** The bundled model. */
export const SPAM = `${BUNDLED_MODELS}/spam`;

export interface Mail {
  readonly id: string;
  readonly group: string;
  readonly label: string;
  readonly text: string;
}

/** The held-out mails that come with the bundled model. */
export function heldOutMails(): readonly Mail[] {
  const lines = gunzipSync(readFileSync(`${SPAM}/held-out/mails.jsonl.gz`)).toString('utf8');
  return lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Mail);
}

/** The labels of a model folder, by output. */
export function labelsOf(folder: string): readonly string[] {
  const config = JSON.parse(readFileSync(`${folder}/config.json`, 'utf8')) as {
    readonly id2label: Readonly<Record<string, string>>;
  };
  return Object.values(config.id2label);
}

const WORDS =
  `please find the minutes of our meeting attached free money now click here to claim your prize
  the build fails on the second node with a timeout cheap pills without prescription see you on
  monday in the office limited offer act today unsubscribe kernel patch applied thanks regards`.split(
    /\s+/,
  );

/** A text that looks like a mail; the same number gives the same text, another one another. */
export function textNumber(number: number, words = 12): string {
  let state = (number * 2_654_435_761 + 12_345) >>> 0;
  const next = () => {
    // A linear congruential generator (Numerical Recipes): any fixed sequence will do.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 8;
  };
  const picked = Array.from({ length: words }, () => WORDS[next() % WORDS.length] ?? 'word');
  return `Subject: message ${number}\n\n${picked.join(' ')}`;
}
