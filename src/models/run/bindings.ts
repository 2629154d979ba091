/** What the inputs and outputs of a graph are for, by their names, types and shapes. Pure. */
import type { InputBinding, InputRole, InputType, ServingPlan } from './serving-plan.js';

/** An input or output as ONNX Runtime describes it: a dimension is a number, or a name if it is free. */
export interface ValueFacts {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly (number | string)[];
}

const INPUT_TYPES: readonly InputType[] = [
  ...(['int64', 'int32', 'uint32', 'uint64', 'int16', 'int8', 'uint8'] as const),
  ...(['bool', 'float32', 'float64', 'float16'] as const),
];

/**
 * In this order: `global_attention_mask` and `task_type_ids` are neither masks nor token types, `input_mask` is a mask,
 * `input_type_ids` are types, and what is left may be the ids.
 */
const ROLE_NAMES: readonly (readonly [InputRole, RegExp])[] = [
  ['global', /global_?(?:attention|attn)/],
  ['zeros', /^task_?type/],
  ['mask', /^(?!.*(?:head|perm|cross|pixel|decoder)).*(?:mask|attention|attn)/],
  ['types', /segment|token_?type|type_?ids?|(?:^|_)seg(?:_|$)/],
  ['positions', /position|(?:^|_)pos(?:_|$)/],
  [
    'ids',
    /^(?:input_?)?(?:ids?|input|inputs|tokens?|token_?ids?|input_?word_?ids?|word_?ids|text|x)$/,
  ],
];

/** Inputs of other kinds of models, which are never guessed to be tokens. */
const FOREIGN =
  /pixel|image|visual|bbox|audio|mel|feature|past|decoder|encoder|head|lang|label|speaker|cache/;

/** Names that say nothing, as converters number inputs: `input_2`, `arg1`, `x`, `onnx::Gather_1`. */
const NAMELESS = /^(?:(?:inputs?|args?|tensor|placeholder|onnx::?\w*|onnx__\w*)?_?\d*|[a-z])$/;

/** Names as exporters decorate them: `serving_default_input_ids:0`, `input_ids.1`, `bert/input_ids_1`. */
function plainName(name: string): string {
  return name
    .toLowerCase()
    .replace(/:\d+$/, '')
    .replace(/^.*\//, '')
    .replace(/^serving_default_/, '')
    .replace(/[.-]/g, '_')
    .replace(/_\d+$/, '');
}

/**
 * Every way in which the inputs may be bound, the likeliest first. More than one only where names do not say which is
 * which; preparing then runs them, and takes the first under which pads change nothing.
 *
 * 1. By name.
 * 2. An input whose name says something else is never guessed: zeros for it would be a silent error.
 * 3. A single input without a role is the ids; of more, in the order in which models take them.
 *
 * @throws Error that names the inputs which nothing is known for
 */
export function possibleBindings(
  inputs: readonly ValueFacts[],
): readonly (readonly InputBinding[])[] {
  const roles = new Map<string, InputRole>();
  for (const { name } of inputs) {
    const role = ROLE_NAMES.find(([, pattern]) => pattern.test(plainName(name)))?.[0]; // 1
    if (role !== undefined && ![...roles.values()].includes(role)) roles.set(name, role);
  }
  const unknown = inputs.filter(({ name }) => !roles.has(name));
  const taken = new Set(roles.values());
  const free = (['ids', 'mask', 'types'] as const).filter((role) => !taken.has(role)); // 3
  const bound = (assigned: readonly InputRole[]) =>
    inputs.map((input) =>
      bindingOf(input, roles.get(input.name) ?? assigned[unknown.indexOf(input)]),
    );
  const names = inputs
    .map(({ name }) => name)
    .join(', ')
    .slice(0, 300);
  const isForeign = unknown.some(
    ({ name, type }) => type === 'string' || FOREIGN.test(name.toLowerCase()),
  );
  const other = taken.has('ids')
    ? unknown.find(({ name }) => !NAMELESS.test(plainName(name))) // 2
    : undefined;
  if (unknown.length > free.length || isForeign || other !== undefined) {
    const odd = (other ?? unknown[0])?.name ?? '';
    throw new Error(
      `its inputs are ${names}; those of a text classifier are input_ids, attention_mask, token_type_ids, position_ids, global_attention_mask, task_type_ids, and what ${odd.slice(0, 100)} takes is not known: export the model without it`,
    );
  }
  if (!taken.has('ids') && unknown.length === 0) {
    throw new Error(`its inputs are ${names}; none of them takes token ids (input_ids)`);
  }
  const ways = orders(free, unknown.length).filter(
    (way) => taken.has('ids') || way.includes('ids'),
  );
  return ways.map(bound);
}

/** Every choice of so many roles in every order; choices of the first roles, in their order, come first. */
function orders(roles: readonly InputRole[], count: number): readonly (readonly InputRole[])[] {
  if (count === 0) return [[]];
  return roles.flatMap((role) =>
    orders(
      roles.filter((other) => other !== role),
      count - 1,
    ).map((rest) => [role, ...rest]),
  );
}

function bindingOf({ name, type, shape }: ValueFacts, role: InputRole | undefined): InputBinding {
  const known = INPUT_TYPES.find((each) => each === type);
  if (role === undefined || known === undefined) {
    throw new Error(`its input ${name} is of type ${type}, which token ids and masks never have`);
  }
  if (shape.length !== 2 && shape.length !== 1) {
    throw new Error(`its input ${name} has ${shape.length} dimensions; rows of tokens have 2`);
  }
  return { name, role, type: known, rank: shape.length === 1 ? 1 : 2 };
}

/** A fixed size that the inputs share: of rows (`at` 0 of 2) or of tokens (the last dimension). */
export function fixedSizes(inputs: readonly ValueFacts[]): {
  readonly rows: number | undefined;
  readonly length: number | undefined;
} {
  let rows: number | undefined;
  let length: number | undefined;
  for (const { shape } of inputs) {
    const [first, last] = [shape.length === 1 ? 1 : shape[0], shape.at(-1)];
    if (typeof first === 'number' && first > 0) rows = first;
    if (typeof last === 'number' && last > 0) length = last;
  }
  return { rows, length };
}

const OUTPUT_TYPES = ['float32', 'float16', 'float64'];
/** Outputs that are no scores, whatever their shape. */
const OTHER_OUTPUT = /hidden|pool|embed|attention|attn|state|past|present|cache|encoder|loss/;

/**
 * The outputs that may be the logits, the likeliest first.
 *
 * 1. Numbers with a fraction, of one or two dimensions: one row of scores for each text. For each token: of three,
 *    or of two where the graph takes a single text. Graphs may leave the dimensions open.
 * 2. Named `logits`; then as scores are; then those whose width is the number of labels; then the rest.
 *
 * @param labels how many labels the files name, if they do
 */
export function possibleOutputs(
  outputs: readonly ValueFacts[],
  labels: number | undefined,
  perToken = false,
): readonly string[] {
  const fits = ({ length }: readonly unknown[]) =>
    perToken ? length === 3 || length === 2 || length === 0 : length <= 2;
  const fitting = outputs.filter(
    ({ type, shape, name }) =>
      OUTPUT_TYPES.includes(type) && fits(shape) && !OTHER_OUTPUT.test(name.toLowerCase()), // 1
  );
  const rank = ({ name, shape }: ValueFacts): number => {
    const plain = plainName(name);
    const width = shape.length >= 2 ? shape.at(-1) : 1;
    const isWide = labels !== undefined && width === labels ? 0 : 1;
    if (plain === 'logits') return 0;
    if (/logit/.test(plain)) return 1 + isWide;
    if (/score|output|prediction|classif|label/.test(plain)) return 3 + isWide;
    return 5 + isWide; // 2
  };
  const ranked = fitting.map((output, at) => ({ name: output.name, rank: rank(output), at }));
  ranked.sort((a, b) => a.rank - b.rank || a.at - b.at);
  return ranked.map(({ name }) => name);
}

/** The plan of a graph of the usual kind, of which nothing has been measured: for benchmarks and tests. */
export function usualPlan(
  {
    inputs,
    outputs,
  }: { readonly inputs: readonly ValueFacts[]; readonly outputs: readonly ValueFacts[] },
  labelCount: number,
  padTokenId = 0,
): ServingPlan {
  const [bound = []] = possibleBindings(inputs);
  const [output = ''] = possibleOutputs(outputs, labelCount);
  return {
    ...{ inputs: bound, output, labelCount, grouping: 'together', paddingSide: 'right' },
    ...{ padTokenId, padTypeId: 0, positionOffset: 0 },
  };
}
