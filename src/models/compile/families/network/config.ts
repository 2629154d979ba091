/**
 * A model's `config.json`, read with the defaults of its class: `transformers` leaves keys out that have
 * the class's default, and so do people. What is wrong is collected, so that it can be told at once.
 */
import type { JsonObject } from '../../../intake/folder/json.js';

interface Bounds {
  readonly min?: number;
  readonly max?: number;
}

/** Larger than any size of a real encoder: what is beyond it is broken or hostile. */
const MAX_SIZE = 16_777_216;

export class Config {
  readonly problems: string[];
  readonly #values: JsonObject;
  readonly #path: string;

  /** @param path where the values stand within the file, such as `rope_parameters.` */
  constructor(values: JsonObject, problems: string[] = [], path = '') {
    this.#values = values;
    this.problems = problems;
    this.#path = path;
  }

  /** A whole number, from 1 if nothing else is said. */
  integer(key: string, fallback: number, { min = 1, max = MAX_SIZE }: Bounds = {}): number {
    const value = this.#get(key, fallback);
    const isGood = typeof value === 'number' && Number.isInteger(value);
    if (isGood && value >= min && value <= max) return value;
    return this.#wrong(key, value, `a whole number from ${min} to ${max}`, fallback);
  }

  /** A number above zero, such as an epsilon. */
  positive(key: string, fallback: number): number {
    const value = this.#get(key, fallback);
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
    return this.#wrong(key, value, 'a number above 0', fallback);
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.#get(key, fallback);
    return typeof value === 'boolean' ? value : this.#wrong(key, value, 'true or false', fallback);
  }

  text(key: string, fallback: string): string {
    const value = this.#get(key, fallback);
    return typeof value === 'string' ? value : this.#wrong(key, value, 'a text', fallback);
  }

  choice<T extends string>(key: string, options: readonly T[], fallback: T): T {
    const value = this.#get(key, fallback);
    const option = options.find((item) => item === value);
    return option ?? this.#wrong(key, value, `one of ${options.join(', ')}`, fallback);
  }

  /** The value as it stands there; undefined for null too. */
  raw(key: string): unknown {
    return this.#values[key] ?? undefined;
  }

  /** An object within it; its problems are told under its name. */
  part(key: string): Config | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    if (isObject(value)) return new Config(value, this.problems, `${this.#path}${key}.`);
    return this.#wrong(key, value, 'an object', undefined);
  }

  /** Whether the key is there with null, where that means something. */
  isNull(key: string): boolean {
    return this.#values[key] === null;
  }

  /** The first of the keys that is there: a setting that has two names. */
  named(...keys: readonly [string, ...string[]]): string {
    return keys.find((key) => this.#values[key] !== undefined) ?? keys[0];
  }

  /** Refuses what changes the model in a way that is not described here. */
  refuse(key: string, isPlain: (value: unknown) => boolean, why: string): void {
    const value = this.raw(key);
    if (value !== undefined && !isPlain(value)) {
      this.problems.push(`${this.#path}${key} is ${shown(value)}: ${why}`);
    }
  }

  /**
   * Number of labels: of `id2label`, else `num_labels`, else two, as `transformers` counts them. Where it would take two for
   * want of both, `label2id` says how many.
   */
  labels(): number {
    const hasNumber = this.raw('num_labels') !== undefined;
    for (const key of ['id2label', ...(hasNumber ? [] : ['label2id'])]) {
      const map = this.raw(key);
      if (typeof map === 'object' && map !== null && Object.keys(map).length > 0) {
        return Object.keys(map).length;
      }
    }
    return this.integer('num_labels', 2);
  }

  #get(key: string, fallback: unknown): unknown {
    const value = this.#values[key];
    return value === undefined ? fallback : value;
  }

  #wrong<T>(key: string, value: unknown, needed: string, fallback: T): T {
    this.problems.push(`${this.#path}${key} is ${shown(value)}, ${needed} is needed`);
    return fallback;
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'undefined').slice(0, 100);
}
