/** A version of a program for the tests: where it is, or why it cannot be had. */
export type Found =
  | { readonly version: string; readonly program: string; readonly reason?: never }
  | { readonly version: string; readonly program?: never; readonly reason: string };

export const NODE_MAJORS: readonly number[];
export const NPM_MAJORS: readonly number[];
export function findNode(major: number): Found;
export function findNpm(major: number): Found;
