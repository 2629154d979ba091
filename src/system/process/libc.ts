import { createRequire } from 'node:module';

/** What the C functions that we call take: numbers, strings, arrays of strings that end with null, and memory. */
type CArgument = number | string | readonly (string | null)[] | Uint8Array | Uint32Array;
type CFunction = (...args: readonly CArgument[]) => number;
type Library = ReturnType<typeof import('koffi').load>;

let library: Library | undefined;

/**
 * A function of the C library that this process runs on, by its C prototype, for the few calls that Node does not offer.
 * Loading the foreign function interface takes 1.6 MB in each process (most of it pages that our processes share).
 *
 * @returns undefined where the C library has no such function (musl, macOS) or koffi has no build for the platform
 */
export function cFunction(prototype: string): CFunction | undefined {
  try {
    library ??= (createRequire(import.meta.url)('koffi') as typeof import('koffi')).load(null);
    return library.func(prototype) as CFunction;
  } catch {
    return undefined;
  }
}
