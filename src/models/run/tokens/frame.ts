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
