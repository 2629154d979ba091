/** Reads values that came from another process, a file or a store, of which nobody knows that they are what they should be. Pure. */

export type Guard<T> = (value: unknown) => value is T;
type Check = (value: unknown) => boolean;

export const isText: Guard<string> = (value) => typeof value === 'string';
export const isFlag: Guard<boolean> = (value) => typeof value === 'boolean';
/** Finite: JSON has no other numbers. */
export const isNumber: Guard<number> = (value): value is number => Number.isFinite(value);

export function isList<T>(each: Guard<T>): Guard<readonly T[]> {
  return (value): value is readonly T[] => Array.isArray(value) && value.every(each);
}

export function orNull(check: Check): Check {
  return (value) => value === null || check(value);
}

/** A field that may be left out. */
export function orMissing(check: Check): Check {
  return (value) => value === undefined || check(value);
}

export function isOneOf<const T extends string>(words: readonly T[]): Guard<T> {
  return (value): value is T => words.some((word) => word === value);
}

/** An object with these fields; each field of the type has to be named, and further ones may be there. */
export function shapeOf<T extends object>(
  fields: {
    readonly [K in keyof Required<T>]: Check;
  },
): Guard<T> {
  const checks = Object.entries<Check>(fields);
  return (value): value is T =>
    typeof value === 'object' &&
    value !== null &&
    checks.every(([name, check]) => check(Reflect.get(value, name)));
}
