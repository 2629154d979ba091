/**
 * Where to get a caller's `AbortSignal`. An `AbortController` is one; the HTTP doors make theirs when it is
 * first read, because most answers are known and wait for nothing.
 */
export type AbortSource = Pick<AbortController, 'signal'>;
