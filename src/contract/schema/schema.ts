/**
 * JSON schemas with the TypeScript type of what they describe, from one definition.
 *
 * Only types and plain objects: a schema library costs the main process 2 MB of private memory or more.
 */

declare const DESCRIBED: unique symbol;

/** A JSON schema of the 2020-12 draft, as OpenAPI 3.1 has it, that describes a `T`. */
export interface Schema<T> {
  readonly [keyword: string]: unknown;
  /** Known to the compiler alone. */
  readonly [DESCRIBED]?: T;
}

/** The type of what a schema describes. */
export type Static<S> = S extends Schema<infer T> ? T : never;

/** A property that an object may lack. */
export interface Optional<T> {
  readonly optional: Schema<T>;
}

/** Schemas by the names of an object's properties. */
export type Properties = Readonly<Record<string, Schema<unknown> | Optional<unknown>>>;

type OptionalNames<P> = { [K in keyof P]: P[K] extends Optional<unknown> ? K : never }[keyof P];

/** The object that these properties describe. */
export type ObjectOf<P> = {
  readonly [K in Exclude<keyof P, OptionalNames<P>>]: Static<P[K]>;
} & {
  readonly [K in OptionalNames<P>]?: P[K] extends Optional<infer T> ? T : never;
} extends infer O
  ? { [K in keyof O]: O[K] }
  : never;

/** Keywords beside the type: a description, bounds, examples. */
export type Keywords = Readonly<Record<string, unknown>>;

/** Keywords; a text is the description. */
type Notes = string | Keywords;

function keywords(notes: Notes | undefined): Keywords {
  return typeof notes === 'string' ? { description: notes } : (notes ?? {});
}

export function text(notes?: Notes): Schema<string> {
  return { type: 'string', ...keywords(notes) };
}

/** A time in ISO 8601, as `Date.toISOString` writes it. */
export function instant(notes?: Notes): Schema<string> {
  return { type: 'string', format: 'date-time', ...keywords(notes) };
}

export function number(notes?: Notes): Schema<number> {
  return { type: 'number', ...keywords(notes) };
}

export function integer(notes?: Notes): Schema<number> {
  return { type: 'integer', ...keywords(notes) };
}

export function flag(notes?: Notes): Schema<boolean> {
  return { type: 'boolean', ...keywords(notes) };
}

/** A reply without a body. */
export function nothing(notes?: Notes): Schema<null> {
  return { type: 'null', ...keywords(notes) };
}

/** One of these texts. */
export function choice<const T extends string>(of: readonly T[], notes?: Notes): Schema<T> {
  return { type: 'string', enum: of, ...keywords(notes) };
}

/** One of these values. */
export function oneOf<const T extends string | boolean>(
  of: readonly T[],
  notes?: Notes,
): Schema<T> {
  return { enum: of, ...keywords(notes) };
}

/** What the schema describes, or null. @param schema has one type, as all of this file have but `oneOf`. */
export function nullable<T>(schema: Schema<T>, notes?: Notes): Schema<T | null> {
  const { type, enum: values } = schema;
  const withNull = Array.isArray(values) ? { enum: [...(values as unknown[]), null] } : {};
  return { ...schema, type: [type, 'null'], ...withNull, ...keywords(notes) };
}

export function list<T>(items: Schema<T>, notes?: Notes): Schema<readonly T[]> {
  return { type: 'array', items, ...keywords(notes) };
}

type Repeat<T, N extends number, All extends readonly T[] = readonly []> = All['length'] extends N
  ? All
  : Repeat<T, N, readonly [...All, T]>;

/** A list of so many items. */
export function tuple<T, const N extends number>(
  items: Schema<T>,
  length: N,
  notes?: Notes,
): Schema<Repeat<T, N>> {
  return { type: 'array', items, minItems: length, maxItems: length, ...keywords(notes) };
}

/** An object with these properties. As a reply it may get further ones in later versions. */
export function object<const P extends Properties>(
  properties: P,
  notes?: Notes,
): Schema<ObjectOf<P>> {
  const all = Object.entries(properties);
  const required = all.filter(([, of]) => !isOptional(of)).map(([name]) => name);
  return {
    type: 'object',
    ...keywords(notes),
    properties: Object.fromEntries(
      all.map(([name, of]) => [name, isOptional(of) ? of.optional : of]),
    ),
    ...(required.length === 0 ? {} : { required }),
  };
}

/** An object with these properties and no others: what callers send. */
export function closed<const P extends Properties>(
  properties: P,
  notes?: Notes,
): Schema<ObjectOf<P>> {
  return { ...object(properties, notes), additionalProperties: false };
}

/** A property that may be missing. */
export function optional<T>(schema: Schema<T>): Optional<T> {
  return { optional: schema };
}

/** A property that may be missing or null: clients of other protocols send null for what they leave open. */
export function maybe<T>(schema: Schema<T>): Optional<T | null> {
  return optional(nullable(schema));
}

function isOptional(of: Schema<unknown> | Optional<unknown>): of is Optional<unknown> {
  return 'optional' in of;
}
