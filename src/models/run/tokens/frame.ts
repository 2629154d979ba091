/**
 * The special tokens that a tokenizer puts around a text, as its post-processor says. Pure. Read from the file
 * itself, so that both tokenizers frame a text in the same way; preparing holds it against the native one.
 */
import { isObject, type JsonObject } from '../../intake/folder/json.js';

export interface Frame {
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** Token types of the tokens before the text, of the text, and of those behind it. */
  readonly beforeTypes: readonly number[];
  readonly textType: number;
  readonly afterTypes: readonly number[];
}

const BARE: Frame = { before: [], after: [], beforeTypes: [], textType: 0, afterTypes: [] };

/** @throws Error if it is of a kind that is not known */
export function frameOf(postProcessor: unknown): Frame {
  if (postProcessor === null || postProcessor === undefined) return BARE;
  if (!isObject(postProcessor)) throw new Error('its post_processor is no object');
  switch (postProcessor.type) {
    case 'TemplateProcessing':
      return templateFrame(postProcessor);
    case 'BertProcessing':
    case 'RobertaProcessing':
      return {
        ...BARE,
        ...{ before: [idOfPair(postProcessor.cls)], beforeTypes: [0] },
        ...{ after: [idOfPair(postProcessor.sep)], afterTypes: [0] },
      };
    case 'ByteLevel':
      // It only corrects offsets.
      return BARE;
    case 'Sequence':
      return (Array.isArray(postProcessor.processors) ? postProcessor.processors : [])
        .map(frameOf)
        .reduce(inner, BARE);
    default:
      throw new Error(`its post_processor is ${String(postProcessor.type).slice(0, 50)}`);
  }
}

/** The special tokens around two texts. */
export interface PairFrame {
  /** What stands before the first text, between the two, and behind the second. */
  readonly pieces: readonly [SpecialTokens, SpecialTokens, SpecialTokens];
  readonly firstType: number;
  readonly secondType: number;
}

export interface SpecialTokens {
  readonly ids: readonly number[];
  readonly types: readonly number[];
}

const NONE: SpecialTokens = { ids: [], types: [] };
/** Without a post-processor the second text has type 1, as in `tokenizers`. */
const BARE_PAIR: PairFrame = { pieces: [NONE, NONE, NONE], firstType: 0, secondType: 1 };

/** How two texts are framed. @throws Error if that is not known */
export function pairFrameOf(postProcessor: unknown): PairFrame {
  if (postProcessor === null || postProcessor === undefined) return BARE_PAIR;
  if (!isObject(postProcessor)) throw new Error('its post_processor is no object');
  switch (postProcessor.type) {
    case 'TemplateProcessing':
      return templatePairFrame(postProcessor);
    case 'BertProcessing':
      return around(postProcessor, 1, 1);
    case 'RobertaProcessing':
      return around(postProcessor, 2, 0);
    case 'ByteLevel':
      return BARE_PAIR;
    case 'Sequence': {
      const steps = Array.isArray(postProcessor.processors) ? postProcessor.processors : [];
      const framing = steps.filter((step) => !isObject(step) || step.type !== 'ByteLevel');
      if (framing.length > 1) throw new Error('its post_processor has several steps for two texts');
      return pairFrameOf(framing[0]);
    }
    default:
      throw new Error(`its post_processor is ${String(postProcessor.type).slice(0, 50)}`);
  }
}

/** `[CLS] A [SEP] B [SEP]`, or with two separators in between. */
function around(processor: JsonObject, separators: number, type: number): PairFrame {
  const [cls, sep] = [idOfPair(processor.cls), idOfPair(processor.sep)];
  // Behind the first text stands its own separator; with two the other one belongs to the second text.
  const between = Array.from({ length: separators }, (_, at) => (at === 0 ? 0 : type));
  return {
    pieces: [
      { ids: [cls], types: [0] },
      { ids: between.map(() => sep), types: between },
      { ids: [sep], types: [type] },
    ],
    firstType: 0,
    secondType: type,
  };
}

function templatePairFrame(template: JsonObject): PairFrame {
  const special = isObject(template.special_tokens) ? template.special_tokens : {};
  const ids: [number[], number[], number[]] = [[], [], []];
  const types: [number[], number[], number[]] = [[], [], []];
  const textTypes: number[] = [];
  for (const piece of Array.isArray(template.pair) ? template.pair : []) {
    if (!isObject(piece)) continue;
    if (isObject(piece.Sequence)) {
      const wanted = textTypes.length === 0 ? 'A' : 'B';
      if (piece.Sequence.id !== wanted || textTypes.length === 2) {
        throw new Error('its template for two texts has them in another order');
      }
      textTypes.push(integer(piece.Sequence.type_id));
    } else if (isObject(piece.SpecialToken)) {
      const own = idsOf(special[String(piece.SpecialToken.id)]);
      const type = integer(piece.SpecialToken.type_id);
      ids[textTypes.length]?.push(...own);
      types[textTypes.length]?.push(...own.map(() => type));
    }
  }
  const [firstType, secondType] = textTypes;
  if (firstType === undefined || secondType === undefined) {
    throw new Error('its template takes no two texts');
  }
  const at = (place: 0 | 1 | 2) => ({ ids: ids[place], types: types[place] });
  return { pieces: [at(0), at(1), at(2)], firstType, secondType };
}

/** What one processor after another makes. */
function inner(first: Frame, second: Frame): Frame {
  return {
    before: [...second.before, ...first.before],
    beforeTypes: [...second.beforeTypes, ...first.beforeTypes],
    textType: second.before.length + second.after.length > 0 ? second.textType : first.textType,
    after: [...first.after, ...second.after],
    afterTypes: [...first.afterTypes, ...second.afterTypes],
  };
}

function templateFrame(template: JsonObject): Frame {
  const pieces = Array.isArray(template.single) ? template.single : [];
  const special = isObject(template.special_tokens) ? template.special_tokens : {};
  const before: number[] = [];
  const beforeTypes: number[] = [];
  const after: number[] = [];
  const afterTypes: number[] = [];
  let textType: number | undefined;
  for (const piece of pieces) {
    if (!isObject(piece)) continue;
    if (isObject(piece.Sequence)) {
      if (textType !== undefined) throw new Error('its template puts the text in twice');
      textType = integer(piece.Sequence.type_id);
    } else if (isObject(piece.SpecialToken)) {
      const ids = idsOf(special[String(piece.SpecialToken.id)]);
      const types = ids.map(() =>
        integer(isObject(piece.SpecialToken) ? piece.SpecialToken.type_id : 0),
      );
      (textType === undefined ? before : after).push(...ids);
      (textType === undefined ? beforeTypes : afterTypes).push(...types);
    }
  }
  if (textType === undefined) throw new Error('its template leaves the text out');
  return { before, beforeTypes, textType, after, afterTypes };
}

function idsOf(token: unknown): readonly number[] {
  const ids = isObject(token) && Array.isArray(token.ids) ? token.ids : [];
  if (ids.length === 0) throw new Error('its template has a special token without an id');
  return ids.map(integer);
}

/** `["[CLS]", 101]` */
function idOfPair(pair: unknown): number {
  return integer(Array.isArray(pair) ? pair[1] : undefined);
}

function integer(value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value;
  throw new Error('its post_processor has a token without an id');
}

/** Whether every token has type 0, so that types need not be kept. */
export function isPlain({ beforeTypes, textType, afterTypes }: Frame): boolean {
  return textType === 0 && [...beforeTypes, ...afterTypes].every((type) => type === 0);
}
