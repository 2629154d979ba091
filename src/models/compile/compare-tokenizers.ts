/** Which tokenizer a model gets: the lean one wherever it makes the same tokens as the native one. */
import { messageOf, PlimsollError } from '../../errors.js';
import type { TokenizerFiles } from '../intake/tokenizer-files.js';
import type { TokenizerChoice } from '../run/serving-plan.js';
import { hasLongMarkRun } from '../run/text-guard.js';
import { TextEncoder } from '../run/tokenizer.js';
import { LONGEST_LEAN_RUN, measureRunBound } from '../run/tokens/run-bound.js';
import {
  inContext,
  NEVER_LEAN,
  probeCharacters,
  probeTexts,
  uniformSamples,
} from './probe-texts.js';

export interface Compared {
  readonly choice: TokenizerChoice;
  readonly why: string;
}

/** Characters that are tried in one text; those of a text that differs are tried one by one. */
const CHARACTERS_AT_ONCE = 24;
/** With more odd characters than this the tokenizers differ in kind, not in a few characters. */
const MOST_ODD = 1200;
/** Tokens of the vocabulary that are tried as texts. */
const MOST_ENTRIES = 1500;
/** Long enough that nothing is cut off. */
const NO_LIMIT = 1_000_000;

/**
 * Encodes the probe corpus with both.
 *
 * 1. The native one frames a text as was read from its post-processor; otherwise the model cannot be served. Where it
 *    frames two texts otherwise, pairs are refused.
 * 2. Places of tokens are needed, which the lean one does not know, or it cannot be opened: native.
 * 3. They differ in samples of a uniform block (Chinese characters, Korean syllables), or in many characters: native.
 * 4. They differ in a few characters: the lean one, and texts that hold one of those go to the native one.
 * 5. They differ in a text without such a character: native.
 * 6. The lean one takes too long for long runs without a blank: texts with longer ones go to the native one.
 *
 * @throws PlimsollError MODEL_UNUSABLE if the native one refuses the files
 */
export async function compareTokenizers(
  files: TokenizerFiles,
  needsPlaces = false,
): Promise<Compared> {
  const reference = await TextEncoder.open(files, NO_LIMIT, { kind: 'native' });
  await expectSameFrame(reference); // 1
  const pairs = (await hasSamePairFrame(reference)) ? {} : ({ isPairUnknown: true } as const);
  const { choice, why } = needsPlaces
    ? native('it alone knows where tokens stand in a text') // 2
    : await leanOrNative(files, reference);
  return { choice: { ...choice, ...pairs }, why };
}

async function leanOrNative(files: TokenizerFiles, reference: TextEncoder): Promise<Compared> {
  let lean: TextEncoder;
  try {
    lean = await TextEncoder.open(files, NO_LIMIT, { kind: 'javascript' });
  } catch (error) {
    return native(`the lean one cannot read it (${messageOf(error).slice(0, 200)})`); // 2
  }
  const differ = (texts: readonly string[]) => differing(lean, reference, texts);
  const bulk = await differ(inGroups(uniformSamples()).map(joined));
  if (bulk.length > 0) return native(`the lean one makes other tokens of ${shown(bulk[0])}`); // 3
  const odd = await oddCharacters(differ);
  if (odd === undefined) return native(`they differ in more than ${MOST_ODD} characters`);
  const except = `[${NEVER_LEAN}${classOf(odd)}]`; // 4
  const pattern = new RegExp(except, 'u');
  const vocabulary = Object.keys((await reference.native()).vocabulary());
  const texts = [...probeTexts(vocabulary.filter(isSpecial)), ...oddEntries(vocabulary)];
  // What the lean one never gets tells nothing of it.
  const others = await differ(texts.filter((text) => !pattern.test(text) && !hasLongMarkRun(text)));
  if (others.length > 0) return native(`the lean one makes other tokens of ${shown(others[0])}`); // 5
  const tried = `${texts.length} texts and ${probeCharacters().length} characters`;
  const rest =
    odd.length === 0 ? '' : `, but for ${odd.length} characters, whose texts go to the native one`;
  const longestRun = measureRunBound((text) => lean.encode(text)); // 6
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
): Promise<readonly string[]> {
  const expected = await (await reference.native()).idsOf(texts);
  const { before, after } = reference.frame;
  return texts.filter((text, index) => {
    const ids = attempt(lean, text);
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
