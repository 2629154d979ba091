/** Token types, which some tokenizers make and do not give to their models. Pure. */
import { isObject, type JsonObject } from '../../intake/folder/json.js';

/** Classes of transformers (4.57) whose `model_input_names` have no `token_type_ids`, unless their config has its own. */
const WITHOUT_TYPES =
  /^(?:DistilBert|MPNet|Roberta|XLMRoberta|Camembert|Longformer|LED|BigBird|Bart|MBart|GPT2|Llama|Qwen2|Gemma)$/;

/** Whether the model is given token types: where it is not, all of them are 0 to it. */
export function givesTokenTypes(config: JsonObject, className: string | undefined): boolean {
  const { model_input_names: names } = config;
  if (Array.isArray(names) && names.length > 0) return names.includes('token_type_ids');
  return className === undefined || !WITHOUT_TYPES.test(className);
}

/** The post-processor that frames texts alike, with 0 for every type. */
export function withoutTypes(processor: unknown): unknown {
  if (!isObject(processor)) return template([]);
  switch (processor.type) {
    case 'TemplateProcessing':
      return {
        ...processor,
        single: untyped(processor.single),
        pair: untyped(processor.pair),
      };
    case 'BertProcessing':
      return template([processor.cls, processor.sep]);
    case 'Sequence': {
      const steps = Array.isArray(processor.processors) ? processor.processors : [];
      const frames = steps.some((step) => !isByteLevel(step));
      return frames
        ? {
            ...processor,
            processors: steps.map((step) => (isByteLevel(step) ? step : withoutTypes(step))),
          }
        : { ...processor, processors: [...steps, template([])] };
    }
    case 'ByteLevel':
      return { type: 'Sequence', processors: [processor, template([])] };
    default:
      // RobertaProcessing has no other type; what is not known is refused where it is read.
      return processor;
  }
}

function isByteLevel(processor: unknown): boolean {
  return isObject(processor) && processor.type === 'ByteLevel';
}

function untyped(pieces: unknown): unknown {
  if (!Array.isArray(pieces)) return pieces;
  return pieces.map((piece) => {
    if (!isObject(piece)) return piece;
    const entries = Object.entries(piece).map(([kind, of]) => [
      kind,
      isObject(of) ? { ...of, type_id: 0 } : of,
    ]);
    return Object.fromEntries(entries) as unknown;
  });
}

/**
 * `[CLS] A [SEP]` and `[CLS] A [SEP] B [SEP]`, or the bare texts.
 *
 * @param tokens `["[CLS]", 101]` and `["[SEP]", 102]`
 */
function template(tokens: readonly unknown[]): JsonObject {
  const [cls, sep] = tokens.map((token) => (Array.isArray(token) ? (token as unknown[]) : []));
  const piece = (of: readonly unknown[] | undefined) =>
    of === undefined ? [] : [{ SpecialToken: { id: of[0], type_id: 0 } }];
  const text = (id: 'A' | 'B') => ({ Sequence: { id, type_id: 0 } });
  const single = [...piece(cls), text('A'), ...piece(sep)];
  return {
    type: 'TemplateProcessing',
    single,
    pair: [...single, text('B'), ...piece(sep)],
    special_tokens: Object.fromEntries(
      [cls, sep].flatMap((of) =>
        of === undefined ? [] : [[of[0], { id: of[0], ids: [of[1]], tokens: [of[0]] }]],
      ),
    ),
  };
}
