/**
 * What the proof takes from a server's replies.
 *
 * The proof judges the server, which may be of another version, so it takes nothing on trust. A value that
 * a reply lacks, or has in another type, is null here. A reply without a value that the proof cannot do
 * without is null as a whole, and counts as a failed request or a missing receipt, never as zero.
 * Sizes are in MB of 2^20 bytes, durations in milliseconds, as in the contract.
 */

import { cacheSchema } from '../contract/cache.js';
import { answerSchema } from '../contract/classify.js';
import { modelsSchema } from '../contract/models.js';
import { receiptSchema, receiptsSchema } from '../contract/receipts.js';
import type { Schema } from '../contract/schema/schema.js';
import { sessionSchema } from '../contract/sessions.js';
import { memorySchema } from '../contract/state/memory.js';
import { workersSchema } from '../contract/state/workers.js';

/** A shape of the contract as a reply may have it: another version may know other words, or not tell. */
type Told<T> =
  | (T extends string
      ? string
      : T extends readonly (infer E)[]
        ? readonly Told<E>[]
        : T extends object
          ? { readonly [K in keyof T]-?: Told<T[K]> }
          : T)
  | null;

/** The same with values that must be there. */
type Needing<T, K extends keyof T> = {
  readonly [N in keyof T]: N extends K ? NonNullable<T[N]> : T[N];
};

/** Takes from a value what has the type that the schema says. */
function told<T>(schema: Schema<T>, value: unknown): Told<Exclude<T, undefined>> {
  return taken(schema, value) as Told<Exclude<T, undefined>>;
}

function taken(schema: Schema<unknown>, value: unknown): unknown {
  const { properties, items, type } = schema;
  if (properties !== undefined) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
    const known = Object.entries(properties as Readonly<Record<string, Schema<unknown>>>);
    const from = value as Readonly<Record<string, unknown>>;
    return Object.fromEntries(known.map(([name, of]) => [name, taken(of, from[name])]));
  }
  if (items !== undefined) {
    return Array.isArray(value) ? value.map((item) => taken(items as Schema<unknown>, item)) : null;
  }
  const types = [type].flat();
  if (types.includes('string')) return text(value);
  if (types.includes('boolean')) return typeof value === 'boolean' ? value : null;
  if (types.includes('number') || types.includes('integer')) return number(value);
  // One of several values of several types.
  return typeof value === 'boolean' ? value : text(value);
}

function number(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

function text(value: unknown): string | null {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value : null;
}

/** Null where one of the values is. */
function needing<T extends object, K extends keyof T>(
  from: T | null,
  names: readonly K[],
): Needing<T, K> | null {
  if (from === null || names.some((name) => from[name] === null)) return null;
  return from as Needing<T, K>;
}

function there<T>(values: readonly (T | null)[] | null): readonly T[] {
  return (values ?? []).filter((value) => value !== null);
}

const SERVER_MEMORY = ['server_total_mb', 'server_used_mb', 'server_percent'] as const;

export function parseMemory(body: unknown) {
  const memory = needing(told(memorySchema, body), SERVER_MEMORY);
  if (memory === null) return null;
  return {
    ...memory,
    pressure: memory.pressure ?? 'unknown',
    processes: there(memory.processes),
  };
}
export type MemoryReply = NonNullable<ReturnType<typeof parseMemory>>;

function parseReceipt(body: unknown) {
  const found = needing(told(receiptSchema, body), ['id']);
  if (found === null) return null;
  // A report is about memory: what a comparison of forms has shown, or whose session it was, is none of it.
  const { verdict: _verdict, job: _job, ...receipt } = found;
  const actions = there(receipt.actions).map(({ entries: _, ...action }) => action);
  return {
    ...receipt,
    kind: receipt.kind ?? 'unnamed',
    before: needing(receipt.before, SERVER_MEMORY),
    after: needing(receipt.after, SERVER_MEMORY),
    actions: there(actions.map((action) => needing(action, ['action']))),
  };
}
/** The server's own record of one cleanup. `before` or `after` is null when the server left it out. */
export type Receipt = NonNullable<ReturnType<typeof parseReceipt>>;
/** Memory on one side of a receipt. */
export type ReceiptMemory = NonNullable<Receipt['before']>;

/** One model of a list. */
export interface ModelReply {
  readonly id: string;
  readonly state: string;
  readonly private_mb: number | null;
}

/** Null as a whole where one model has no name or no state: it could be the one that is asked about. */
export function parseModels(body: unknown): readonly ModelReply[] | null {
  const models = told(modelsSchema, body)?.models ?? null;
  const known = there(models?.map((model) => needing(model, ['id', 'state'])) ?? null);
  if (models === null || known.length < models.length) return null;
  return known.map(({ id, state, private_mb }) => ({ id, state, private_mb }));
}

/** What the proof needs of an answer to one input. */
export interface ClassifyReply {
  readonly model: string;
  readonly label: string;
  readonly score: number;
  readonly truncated: boolean;
  /** The tier that answered, or `none` when the model ran. */
  readonly cached: string;
}

/** The first result of the first input: the proof sends one text in each request. */
export function parseClassify(body: unknown): ClassifyReply | null {
  const answer = needing(told(answerSchema, body), ['model']);
  const best = needing(answer?.results?.[0]?.[0] ?? null, ['label', 'score']);
  if (answer === null || best === null) return null;
  const { model, truncated, cached } = answer;
  return {
    model,
    ...best,
    truncated: truncated?.[0] === true,
    cached: cached?.[0] || 'none',
  };
}

/** What was left of the lives of results that a tier of the cache answered with, in seconds. */
export interface CacheLife {
  readonly tier: string;
  readonly least_s: number;
  readonly most_s: number;
}

/** The tiers that have answered. */
export function parseCache(body: unknown): readonly CacheLife[] {
  const tiers = told(cacheSchema, body);
  return (['memory', 'redis'] as const).flatMap((tier) => {
    const left = needing(tiers?.[tier]?.ttl_left_s ?? null, ['least', 'most']);
    return left === null ? [] : [{ tier, least_s: left.least, most_s: left.most }];
  });
}

/** How Redis is used; null where there is none. */
export function parseRedisState(body: unknown): string | null {
  return told(cacheSchema, body)?.redis?.state ?? null;
}

export function parseWorkerStates(body: unknown): readonly string[] | null {
  const workers = told(workersSchema, body)?.workers ?? null;
  return workers?.map((worker) => worker?.state ?? 'unknown') ?? null;
}

export function parseReceipts(body: unknown): readonly Receipt[] {
  return there((told(receiptsSchema, body)?.receipts ?? []).map(parseReceipt));
}

export function parseSessionId(body: unknown): string | null {
  return told(sessionSchema, body)?.id ?? null;
}

export function parseEndReceipt(body: unknown): Receipt | null {
  return parseReceipt(told(sessionSchema, body)?.cleanup);
}
