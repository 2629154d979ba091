/** Which tokenizer a model gets: the lean one wherever it makes the same tokens as the native one. */
import { messageOf, PlimsollError } from '../../errors.js';
import { doneWithin, TimeLimitError } from '../../system/time-limit.js';
import { isObject } from '../intake/folder/json.js';
import type { TokenizerFiles } from '../intake/tokenizer-files.js';
import type { TokenizerChoice } from '../run/serving-plan.js';
import { hasLongMarkRun } from '../run/text-guard.js';
import { TextEncoder } from '../run/tokenizer.js';
import { readTokenizer } from '../run/tokens/open-tokenizer.js';
import { LONGEST_LEAN_RUN, measureRunBound } from '../run/tokens/run-bound.js';
import {
  inContext,
  NEVER_LEAN,
  probeCharacters,
  probeTexts,
  tiedTexts,
  uniformSamples,
} from './probe-texts.js';

export interface Compared {
  readonly choice: TokenizerChoice;
  readonly why: string;
}

/** Which tokenizer a model gets, from its files. */
export type CompareTokenizers = typeof compareTokenizers;

/** Why a model gets the native tokenizer without a comparison. */
export const NATIVE_BECAUSE = {
  places: 'it alone knows where tokens stand in a text',
  crash:
    'it ended its process with one of the texts that tokenizers are compared by: a pattern of it tracks back for ever. ' +
    'A text that does so is refused, alone',
} as const;

/** Characters that are tried in one text; those of a text that differs are tried one by one. */
const CHARACTERS_AT_ONCE = 24;
/** With more odd characters than this the tokenizers differ in kind, not in a few characters. */
const MOST_ODD = 1200;
/** Tokens of the vocabulary that are tried as texts. */
const MOST_ENTRIES = 1500;
/** Added tokens that are tried in texts, of the special ones and of the others. */
const MOST_ADDED = 64;
/** What the lean one may take in all: some 3 s on a slow machine, unless a pattern of it tracks back for ever. */
const LEAN_LIMIT_MS = 60_000;
/** Long enough that nothing is cut off. */
const NO_LIMIT = 1_000_000;

/**
 * Encodes the probe corpus with both.
 *
 * 1. The native one frames a text as was read from its post-processor; otherwise the model cannot be served. Where it
 *    frames two texts otherwise, pairs are refused.
 * 2. The caller says why it has to be native, or the lean one cannot be opened: native.
 * 3. They differ in samples of a uniform block (Chinese characters, Korean syllables), or in many characters: native.
 * 4. They differ in a few characters: the lean one, and texts that hold one of those go to the native one.
 * 5. They differ in a text without such a character: native.
 * 6. The lean one does not get through the texts in a minute, as its pattern is one that tracks back for ever: native.
 * 7. The lean one takes too long for long runs without a blank: texts with longer ones go to the native one.
 *
 * @param because why it has to be native
 * @param limitMs time that the lean one may take in all
 * @throws PlimsollError MODEL_UNUSABLE if the native one refuses the files
 */
export async function compareTokenizers(
  files: TokenizerFiles,
  because?: keyof typeof NATIVE_BECAUSE,
  limitMs = LEAN_LIMIT_MS,
): Promise<Compared> {
  const reference = await TextEncoder.open(files, NO_LIMIT, { kind: 'native' });
  await expectSameFrame(reference); // 1
  const pairs = (await hasSamePairFrame(reference)) ? {} : ({ isPairUnknown: true } as const);
  const { choice, why } = because
    ? native(NATIVE_BECAUSE[because]) // 2
    : await leanOrNative(files, reference, limitMs).catch(tooSlow);
  return { choice: { ...choice, ...pairs }, why };
}

/** 6. */
function tooSlow(error: unknown): Compared {
  if (!(error instanceof TimeLimitError)) throw error;
  return native(`the lean one takes too long: ${error.message}`);
}

/** Lets the lean one work until its time is up. @throws TimeLimitError */
class LeanTime {
  #leftMs: number;

  constructor(limitMs: number) {
    this.#leftMs = limitMs;
  }

  spend<T>(work: () => T): T {
    const begun = performance.now();
    try {
      return doneWithin(work, this.#leftMs, 'encoding the probe texts');
    } finally {
      this.#leftMs -= performance.now() - begun;
    }
  }
}

async function leanOrNative(
  files: TokenizerFiles,
  reference: TextEncoder,
  limitMs: number,
): Promise<Compared> {
  const time = new LeanTime(limitMs);
  let lean: TextEncoder;
  try {
    lean = await TextEncoder.open(files, NO_LIMIT, { kind: 'javascript' });
  } catch (error) {
    return native(`the lean one cannot read it (${messageOf(error).slice(0, 200)})`); // 2
  }
  const differ = (texts: readonly string[]) => differing(lean, reference, texts, time);
  const bulk = await differ(inGroups(uniformSamples()).map(joined));
  if (bulk.length > 0) return native(`the lean one makes other tokens of ${shown(bulk[0])}`); // 3
  const odd = await oddCharacters(differ);
  if (odd === undefined) return native(`they differ in more than ${MOST_ODD} characters`);
  const except = `[${NEVER_LEAN}${classOf(odd)}]`; // 4
  const pattern = new RegExp(except, 'u');
  const vocabulary = Object.keys((await reference.native()).vocabulary());
  const inTexts = [...(await addedTokens(files)), ...vocabulary.filter(isSpecial).slice(0, 20)];
  const ofEntries = [...oddEntries(vocabulary), ...tiedTexts(vocabulary)];
  const texts = [...probeTexts([...new Set(inTexts)]), ...ofEntries];
  // What the lean one never gets tells nothing of it.
  const others = await differ(texts.filter((text) => !pattern.test(text) && !hasLongMarkRun(text)));
  if (others.length > 0) return native(`the lean one makes other tokens of ${shown(others[0])}`); // 5
  const tried = `${texts.length} texts and ${probeCharacters().length} characters`;
  const rest =
    odd.length === 0 ? '' : `, but for ${odd.length} characters, whose texts go to the native one`;
  const longestRun = time.spend(() => measureRunBound((text) => lean.encode(text))); // 7
  const isBounded = longestRun < LONGEST_LEAN_RUN;
  const slow = `; so do texts with more than ${longestRun} characters without a blank, which take the lean one too long`;
  return {
    choice: { kind: 'javascript', except, ...(isBounded ? { longestRun } : {}) },
    why: `the same tokens as the native one of ${tried}${rest}${isBounded ? slow : ''}`,
  };
}

function native(why: string): Compared {
  return { choice: { kind: 'native' }, why };
}

function shown(text: string | undefined): string {
  return JSON.stringify((text ?? '').slice(0, 40));
}

async function expectSameFrame(encoder: TextEncoder): Promise<void> {
  const native = await encoder.native();
  for (const text of ['a', 'hello world', '']) {
    const whole = await native.framed(text);
    const [own] = await encoder.encodeAll([text]);
    const types = own?.types ?? own?.ids.map(() => 0);
    if (own?.ids.join() !== whole.ids.join() || types?.join() !== whole.types.join()) {
      const reason =
        'tokenizer.json cannot be used: its post_processor frames texts in a way that is not known';
      throw new PlimsollError('MODEL_UNUSABLE', reason);
    }
  }
}

/** Why a tokenizer takes no two texts the encoder says itself. */
async function hasSamePairFrame(encoder: TextEncoder): Promise<boolean> {
  if (!encoder.takesPairs) return false;
  const native = await encoder.native();
  for (const [text, pair] of [
    ['a', 'b'],
    ['hello world', 'a'],
  ] as const) {
    const whole = await native.framed(text, pair);
    const [own] = await encoder.encodeAll([{ text, pair, cut: 'longest_first' }]);
    if (own?.ids.join() !== whole.ids.join() || own.types?.join() !== whole.types.join())
      return false;
  }
  return true;
}

/** The texts of which the two make different ids. */
async function differing(
  lean: TextEncoder,
  reference: TextEncoder,
  texts: readonly string[],
  time: LeanTime,
): Promise<readonly string[]> {
  const expected = await (await reference.native()).idsOf(texts);
  const { before, after } = reference.frame;
  const made = time.spend(() => texts.map((text) => attempt(lean, text)));
  return texts.filter((_, index) => {
    const ids = made[index];
    if (ids === undefined) return true;
    const content = ids.slice(before.length, ids.length - after.length);
    const other = expected[index] ?? [];
    return content.length !== other.length || content.some((id, at) => id !== other[at]);
  });
}

function attempt(lean: TextEncoder, text: string): readonly number[] | undefined {
  try {
    return lean.encode(text).ids;
  } catch {
    return undefined;
  }
}

function inGroups(points: readonly number[]): readonly (readonly number[])[] {
  const groups: (readonly number[])[] = [];
  for (let at = 0; at < points.length; at += CHARACTERS_AT_ONCE) {
    groups.push(points.slice(at, at + CHARACTERS_AT_ONCE));
  }
  return groups;
}

function joined(points: readonly number[]): string {
  return points.map(inContext).join('');
}

/** Characters that make different tokens; undefined if they are many. */
async function oddCharacters(
  differ: (texts: readonly string[]) => Promise<readonly string[]>,
): Promise<readonly number[] | undefined> {
  const groups = new Map(inGroups(probeCharacters()).map((group) => [joined(group), group]));
  const odd: number[] = [];
  for (const text of await differ([...groups.keys()])) {
    const single = new Map((groups.get(text) ?? []).map((point) => [inContext(point), point]));
    const found = await differ([...single.keys()]);
    // Only together do they differ: none of them is above suspicion.
    const suspects = found.length > 0 ? found : [...single.keys()];
    odd.push(...suspects.flatMap((each) => single.get(each) ?? []));
    if (odd.length > MOST_ODD) return undefined;
  }
  return odd;
}

/** The characters as part of a class of a regular expression, neighbours as ranges. */
function classOf(points: readonly number[]): string {
  const escaped = (point: number) => `\\u{${point.toString(16)}}`;
  let source = '';
  for (let at = 0; at < points.length; ) {
    const first = points[at] ?? 0;
    let last = first;
    while (points[at + 1] === last + 1) {
      at += 1;
      last = points[at] ?? last;
    }
    source += first === last ? escaped(first) : `${escaped(first)}-${escaped(last)}`;
    at += 1;
  }
  return source;
}

/** Tokens that were added to the vocabulary: the special ones first, of each kind evenly chosen. */
async function addedTokens(files: TokenizerFiles): Promise<readonly string[]> {
  const { json } = await readTokenizer(files);
  const all = (Array.isArray(json.added_tokens) ? json.added_tokens : []).filter(isObject);
  const contents = (isWanted: boolean) =>
    all
      .filter(({ special }) => (special === true) === isWanted)
      .map(({ content }) => content)
      .filter((content): content is string => typeof content === 'string' && content !== '');
  return [...evenly(contents(true), MOST_ADDED), ...evenly(contents(false), MOST_ADDED)];
}

function evenly(list: readonly string[], most: number): readonly string[] {
  const step = Math.max(1, list.length / most);
  return list.filter((_, index) => Math.floor(index / step) !== Math.floor((index - 1) / step));
}

function isSpecial(token: string): boolean {
  return /^[[<].*[\]>]$/.test(token);
}

/** Entries of the vocabulary that are no plain words: marks, blanks, other scripts; evenly chosen. */
function oddEntries(vocabulary: readonly string[]): readonly string[] {
  const entries = vocabulary.filter((token) => !/^(?:##|▁|Ġ)?[A-Za-z]+$/.test(token));
  const step = Math.max(1, Math.floor(entries.length / MOST_ENTRIES));
  return entries
    .filter((_, index) => index % step === 0)
    .map((token) => token.replace(/^##/, 'x').replace(/[▁Ġ]/g, ' '))
    .filter((text) => text.trim() !== '');
}
