/** `plimsoll.json`: what the owner of a model says over the head of its other files. */
import type { Dtype } from '../dtype.js';
import { isObject, type JsonObject } from '../folder/json.js';
import { MAX_LABELS } from './labels.js';
import { MAX_TOKENS } from './room.js';
import { SCORE_FUNCTIONS, type ScoreFunction } from './scoring.js';

export const OVERRIDES_FILE = 'plimsoll.json';
const MAX_NAME = 1000;
const MAX_ALIASES = 20;
const DTYPES: readonly Dtype[] = ['fp32', 'fp16', 'bf16', 'fp64', 'q8', 'q4'];

/** What a label stands for behind the door that speaks OpenAI's moderations. */
export interface Moderation {
  readonly categories: readonly string[];
  /** The score from which it counts. */
  readonly from: number;
}

export interface Overrides {
  readonly labels?: readonly string[];
  readonly function?: ScoreFunction;
  /** By label: it is left out of an answer where its score is lower. */
  readonly thresholds?: Readonly<Record<string, number>>;
  readonly maxTokens?: number;
  readonly dtype?: Dtype;
  /** Other names under which the model is served. */
  readonly alias?: readonly string[];
  readonly moderations?: Readonly<Record<string, Moderation>>;
}

const name = { type: 'string', minLength: 1, maxLength: MAX_NAME } as const;

/** JSON schema of the file, published as `docs/plimsoll.schema.json`. */
export const OVERRIDES_SCHEMA = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'plimsoll.json',
  description: 'Lies in a model folder, and overrides what the other files there say.',
  type: 'object',
  additionalProperties: false,
  properties: {
    $schema: { type: 'string' },
    labels: {
      description: 'The label of each output, in the order of the outputs.',
      type: 'array',
      items: name,
      minItems: 1,
      maxItems: MAX_LABELS,
    },
    function: {
      description: 'What is applied to the outputs.',
      enum: SCORE_FUNCTIONS,
    },
    thresholds: {
      description: 'By label: the score below which an answer leaves the label out.',
      type: 'object',
      additionalProperties: { type: 'number' },
    },
    max_tokens: {
      description: 'The most tokens of a text, special tokens included; what is longer is cut off.',
      type: 'integer',
      minimum: 4,
      maximum: MAX_TOKENS,
    },
    dtype: {
      description: 'The type of weights to serve, where the folder has graphs of several.',
      enum: DTYPES,
    },
    alias: {
      description: 'Another name under which the model is served, or several.',
      anyOf: [name, { type: 'array', items: name, maxItems: MAX_ALIASES }],
    },
    moderations: {
      description: 'By label: the categories of moderation that it stands for, from which score.',
      type: 'object',
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        required: ['categories', 'from'],
        properties: {
          categories: { type: 'array', items: name, minItems: 1 },
          from: { type: 'number' },
        },
      },
    },
  },
} as const;

/**
 * Reads the content of the file. A test holds this against {@link OVERRIDES_SCHEMA}: the main process
 * carries no checker for so small a thing.
 *
 * @throws Error that names the field and what it has to be
 */
export function readOverrides(file: JsonObject): Overrides {
  const found: { -readonly [Key in keyof Overrides]: Overrides[Key] } = {};
  for (const [key, value] of Object.entries(file)) {
    switch (key) {
      case '$schema':
        if (typeof value !== 'string') throw wrong(key, 'a text');
        break;
      case 'labels':
        found.labels = names(key, value, 1, MAX_LABELS);
        break;
      case 'function':
        found.function = oneOf(key, value, SCORE_FUNCTIONS);
        break;
      case 'thresholds':
        found.thresholds = numbers(key, value);
        break;
      case 'max_tokens':
        found.maxTokens = integer(key, value, 4, MAX_TOKENS);
        break;
      case 'dtype':
        found.dtype = oneOf(key, value, DTYPES);
        break;
      case 'alias':
        found.alias = names(key, typeof value === 'string' ? [value] : value, 0, MAX_ALIASES);
        break;
      case 'moderations':
        found.moderations = moderations(key, value);
        break;
      default:
        throw new Error(
          `it has an unknown field ${JSON.stringify(key.slice(0, 100))}; known are ${Object.keys(OVERRIDES_SCHEMA.properties).join(', ')}`,
        );
    }
  }
  return found;
}

function wrong(key: string, what: string): Error {
  return new Error(`"${key.slice(0, 100)}" must be ${what}`);
}

function names(key: string, value: unknown, least: number, most: number): readonly string[] {
  const isName = (each: unknown) => {
    const length = typeof each === 'string' ? [...each].length : 0;
    return length > 0 && length <= MAX_NAME;
  };
  if (
    !Array.isArray(value) ||
    value.length < least ||
    value.length > most ||
    !value.every(isName)
  ) {
    throw wrong(key, `a list of ${least} to ${most} texts`);
  }
  return value;
}

function oneOf<T extends string>(key: string, value: unknown, words: readonly T[]): T {
  const found = words.find((word) => word === value);
  if (found === undefined) throw wrong(key, `one of ${words.join(', ')}`);
  return found;
}

function integer(key: string, value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) {
    return value;
  }
  throw wrong(key, `a whole number from ${min} to ${max}`);
}

function numbers(key: string, value: unknown): Readonly<Record<string, number>> {
  const isNumber = (each: unknown) => typeof each === 'number' && Number.isFinite(each);
  if (!isObject(value) || !Object.values(value).every(isNumber)) {
    throw wrong(key, 'an object of numbers');
  }
  return value as Readonly<Record<string, number>>;
}

function moderations(key: string, value: unknown): Readonly<Record<string, Moderation>> {
  if (!isObject(value)) throw wrong(key, 'an object');
  return Object.fromEntries(
    Object.entries(value).map(([label, entry]) => {
      const at = `${key}.${label}`;
      if (!isObject(entry)) throw wrong(at, 'an object');
      const { categories, from, ...more } = entry;
      if (Object.keys(more).length > 0) throw wrong(at, 'categories and from, and nothing else');
      if (typeof from !== 'number' || !Number.isFinite(from)) throw wrong(`${at}.from`, 'a number');
      return [label, { categories: names(`${at}.categories`, categories, 1, MAX_LABELS), from }];
    }),
  );
}
