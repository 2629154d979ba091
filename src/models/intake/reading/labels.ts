/** Which label each output of a model has. Pure. */
import { isObject, type JsonObject } from '../folder/json.js';

/** What the files say about labels, before it is known how many outputs the graph has. */
export interface DeclaredLabels {
  /** Names by the number that the files give them. */
  readonly names: ReadonlyMap<number, string>;
  /** Names of numbers that `id2label` leaves open, as `label2id` has them; it may be an older state. */
  readonly fillers?: ReadonlyMap<number, string>;
  /** Why the names cannot be told apart, whatever the graph has. */
  readonly problem?: string;
  /** How many outputs the files speak of; undefined where they are silent. */
  readonly count: number | undefined;
  /** The file and field that they come from. */
  readonly from: string;
}

/** No real classifier has more; a file beyond this is broken or hostile. */
export const MAX_LABELS = 100_000;
/** Labels of a head that nobody named, as transformers has it; it leaves them out of config.json. */
const DEFAULT_COUNT = 2;

/**
 * Reads the labels of a `config.json`.
 *
 * 1. `id2label`, an object or a list: texts, numbers and truth values are names; null and what is no name are holes.
 *    Where names and numbers have changed places, they are read the other way round.
 * 2. A key that is no number leaves open which output it means: nothing is guessed.
 * 3. `label2id` fills what `id2label` leaves open, where the graph has such an output; transformers reads it never.
 * 4. `num_labels` says how many there are, if neither does.
 *
 * @throws Error if there are more than a real model has
 */
export function declaredLabels(config: JsonObject): DeclaredLabels {
  const names = new Map<number, string>();
  const sources: string[] = [];
  const byId = inOrder(entriesOf(config.id2label));
  if (byId.length > 0) sources.push('id2label'); // 1
  let odd: unknown;
  for (const [key, value] of byId) {
    const [id, name] = [idOf(key), nameOf(value)];
    if (id === undefined)
      odd ??= key; // 2
    else if (name !== undefined && names.has(id)) odd ??= key;
    else if (name !== undefined) names.set(id, name);
  }
  const fillers = new Map<number, string>();
  for (const [name, value] of isObject(config.label2id) ? Object.entries(config.label2id) : []) {
    const id = idOf(value);
    if (id === undefined || names.has(id)) continue; // 3
    (byId.length > 0 ? fillers : names).set(id, name);
  }
  if (byId.length === 0 && names.size > 0) sources.push('label2id');
  if (names.size > MAX_LABELS || byId.length > MAX_LABELS) {
    throw new Error(
      `it has ${Math.max(names.size, byId.length)} labels; the most is ${MAX_LABELS}`,
    );
  }
  const count = sources.length > 0 ? undefined : numberOf(config);
  if (count !== undefined) return { names, count, from: 'config.json: num_labels' }; // 4
  const from =
    sources.length > 0 ? `config.json: ${sources.join(', ')}` : 'the width of the output';
  const problem = `config.json: id2label has the key ${JSON.stringify(odd)?.slice(0, 60)}, which is the number of no output`;
  return {
    ...{ names, from, count: sources.length > 0 ? names.size : undefined },
    ...(fillers.size > 0 ? { fillers } : {}),
    ...(odd === undefined ? {} : { problem }),
  };
}

/** Entries as they are, or the other way round where each key is a name and each value its own number. */
function inOrder(
  entries: readonly (readonly [unknown, unknown])[],
): readonly (readonly [unknown, unknown])[] {
  const isSwapped =
    entries.length > 0 &&
    entries.every(([key, value]) => idOf(key) === undefined && idOf(value) !== undefined);
  return isSwapped ? entries.map(([key, value]) => [value, key]) : entries;
}

function entriesOf(map: unknown): readonly (readonly [unknown, unknown])[] {
  if (Array.isArray(map)) return [...map.entries()];
  return isObject(map) ? Object.entries(map) : [];
}

function numberOf(config: JsonObject): number | undefined {
  for (const value of [config.num_labels, config._num_labels]) {
    const count = idOf(value);
    if (count !== undefined && count > 0 && count <= MAX_LABELS) return count;
  }
  return undefined;
}

function idOf(value: unknown): number | undefined {
  const isNumeral = typeof value === 'string' && /^-?\d{1,9}(?:\.0+)?$/.test(value.trim());
  const number = isNumeral ? Number(value) : value;
  return typeof number === 'number' && Number.isInteger(number) ? number + 0 : undefined;
}

function nameOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}

/** Labels to show before the graph has been opened. */
export function expectedLabels({ names, fillers, count }: DeclaredLabels): readonly string[] {
  const highest = [...names.keys()].reduce((most, id) => Math.max(most, id), -1);
  const width = Math.max(count ?? DEFAULT_COUNT, highest < MAX_LABELS ? highest + 1 : 0);
  return namedByIndex(names, Math.min(width, MAX_LABELS), fillers);
}

/**
 * The label of each output.
 *
 * 1. Every number that the files name is one of an output: holes are named as transformers names them.
 * 2. As many names as outputs, with other numbers (from -1, from 1, or with gaps): in the order of the numbers.
 * 3. Anything else contradicts the graph.
 *
 * @param width outputs of the graph
 * @returns the labels, or what is wrong
 */
export function labelsFor(
  { names, fillers, count, from }: DeclaredLabels,
  width: number,
): readonly string[] | { readonly problem: string } {
  const ids = [...names.keys()].sort((a, b) => a - b);
  const fits = (ids[0] ?? 0) >= 0 && (ids.at(-1) ?? 0) < width;
  if (fits && (ids.length > 0 || count === undefined || count === width)) {
    return namedByIndex(names, width, fillers); // 1
  }
  if (ids.length === width) return ids.map((id) => names.get(id) ?? ''); // 2
  const most = Math.max(ids.length, count ?? 0);
  return { problem: `its graph has ${width} outputs, and ${from} speaks of ${most}` }; // 3
}

function namedByIndex(
  names: ReadonlyMap<number, string>,
  width: number,
  fillers?: ReadonlyMap<number, string>,
): readonly string[] {
  return Array.from(
    { length: width },
    (_, index) => names.get(index) ?? fillers?.get(index) ?? `LABEL_${index}`,
  );
}
