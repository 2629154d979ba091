/** Patterns of file names: `*` and `?` within one name, `[a-z]`, `{a,b}`, and `**` for any number of folders. Pure. */
import { InputError } from './input-error.js';

/** `{a,b}{c,d}…` multiplies. */
const MAX_ALTERNATIVES = 1000;

/** What one character of a name must be; `any` stands for none or more of any. */
type Token = 'any' | ((character: string) => boolean);
type Segment = '**' | readonly Token[];
/** How far a path has come: which segments of which alternatives may come next. */
export type GlobState = readonly (readonly [alternative: number, segment: number])[];

/** Whether a path has wildcards. */
export function isGlob(pattern: string): boolean {
  return /[*?[{]/.test(pattern);
}

/** The part of a pattern before its first wildcard. */
export function prefixOf(pattern: string): string {
  return pattern.slice(0, Math.max(0, pattern.search(/[*?[{]|$/)));
}

/** The pattern that names that path and no other: `a[1]` becomes `a[[]1]`. */
export function literally(path: string): string {
  return path.replace(/[*?[{]/g, '[$&]');
}

export interface SplitPattern {
  /** Its leading folders, by their names. */
  readonly base: string;
  /** What follows them, from the first name with a wildcard on; empty: the base is all of it. */
  readonly rest: string;
}

/** Where a walk begins, and what it looks for there. Names that were written {@link literally} are read back. */
export function splitPattern(pattern: string): SplitPattern {
  const names = pattern.split('/');
  const plain = names.map((name) => name.replace(/\[([*?[{])\]/g, (_, one: string) => `\0${one}`));
  const first = plain.findIndex((name) => /(?<!\0)[*?[{]/.test(name));
  const end = first < 0 ? names.length : first;
  const base = plain.slice(0, end).join('/').replaceAll('\0', '');
  return { base: base === '' ? '/' : base, rest: names.slice(end).join('/') };
}

/**
 * A pattern, matched one folder after another, so that a walk enters no folder that cannot lead to a file. Patterns come from
 * callers: the time is linear in the length of the name, which that of regular expressions is not.
 */
export class Glob {
  readonly #alternatives: readonly (readonly Segment[])[];

  /** @throws InputError if it has too many alternatives */
  constructor(pattern: string) {
    this.#alternatives = expandBraces(pattern).map((each) => each.split('/').map(segmentOf));
  }

  get start(): GlobState {
    return this.#closure(this.#alternatives.map((_, alternative) => [alternative, 0] as const));
  }

  /** After one more folder or file of the path. */
  step(state: GlobState, name: string): GlobState {
    const next: [number, number][] = [];
    for (const [alternative, at] of state) {
      const segment = this.#alternatives[alternative]?.[at];
      if (segment === undefined) continue;
      if (segment !== '**') {
        if (matchesName(segment, name)) next.push([alternative, at + 1]);
        continue;
      }
      if (name.startsWith('.')) continue;
      next.push([alternative, at]);
      // `a/**` is every file below a.
      if (at + 1 === this.#alternatives[alternative]?.length) next.push([alternative, at + 1]);
    }
    return this.#closure(next);
  }

  isWhole(state: GlobState): boolean {
    return state.some(([alternative, at]) => at === this.#alternatives[alternative]?.length);
  }

  /** Whether any number of folders may follow. */
  isDeep(state: GlobState): boolean {
    return state.some(([alternative, at]) => this.#alternatives[alternative]?.[at] === '**');
  }

  matches(path: string): boolean {
    let state = this.start;
    for (const name of path.split('/')) {
      state = this.step(state, name);
      if (state.length === 0) return false;
    }
    return this.isWhole(state);
  }

  /** `**` may stand for no folder at all. */
  #closure(state: GlobState): GlobState {
    const all = new Map<string, readonly [number, number]>();
    const add = (alternative: number, at: number): void => {
      all.set(`${alternative} ${at}`, [alternative, at]);
      const segments = this.#alternatives[alternative] ?? [];
      if (segments[at] === '**' && at + 1 < segments.length) add(alternative, at + 1);
    };
    for (const [alternative, at] of state) add(alternative, at);
    return [...all.values()];
  }
}

/** `a{b,c}` becomes `ab` and `ac`; braces may be nested. One that is not closed stands for itself. */
export function expandBraces(pattern: string): readonly string[] {
  const done: string[] = [];
  const open = [pattern];
  while (open.length > 0) {
    const each = open.pop() ?? '';
    const braces = firstBraces(each);
    if (braces === undefined) done.push(each);
    else {
      const { before, choices, after } = braces;
      for (const choice of [...choices].reverse()) open.push(`${before}${choice}${after}`);
    }
    if (done.length + open.length > MAX_ALTERNATIVES) {
      throw new InputError(`${pattern} has more than ${MAX_ALTERNATIVES} alternatives in braces`);
    }
  }
  return done;
}

/** The first innermost pair of braces. */
function firstBraces(pattern: string) {
  const match = /^(.*?)\{([^{}]*)\}(.*)$/s.exec(pattern);
  if (match === null) return undefined;
  const [, before = '', within = '', after = ''] = match;
  return { before, choices: within.split(','), after };
}

function segmentOf(text: string): Segment {
  if (text === '**') return '**';
  const tokens: Token[] = [];
  const characters = [...text];
  for (let index = 0; index < characters.length; index += 1) {
    const character = characters[index] ?? '';
    const close = character === '[' ? characters.indexOf(']', index + 2) : -1;
    if (character === '*') tokens.push('any');
    else if (character === '?') tokens.push(() => true);
    else if (close > 0) {
      tokens.push(classOf(characters.slice(index + 1, close)));
      index = close;
    } else tokens.push((other) => other === character);
  }
  return tokens;
}

/** `[abc]`, `[a-z]`, `[!a-z]`. */
function classOf(characters: readonly string[]): (character: string) => boolean {
  const isNot = characters[0] === '!' || characters[0] === '^';
  const within = isNot ? characters.slice(1) : characters;
  return (character) => {
    let isIn = false;
    for (let index = 0; index < within.length; index += 1) {
      const from = within[index] ?? '';
      const isRange = within[index + 1] === '-' && index + 2 < within.length;
      const to = isRange ? (within[index + 2] ?? '') : from;
      if (isRange) index += 2;
      isIn ||= from <= character && character <= to;
    }
    return isIn !== isNot;
  };
}

/** Each `any` takes as little as it can, and one more when what follows does not fit: only the last one need ever give. */
function matchesName(tokens: readonly Token[], name: string): boolean {
  if (name.startsWith('.') && typeof tokens[0] !== 'function') return tokens.length === 0;
  const characters = [...name];
  let token = 0;
  let at = 0;
  let back: { readonly token: number; at: number } | undefined;
  while (at < characters.length) {
    const wanted = tokens[token];
    if (wanted === 'any') {
      back = { token: token + 1, at };
      token += 1;
    } else if (wanted?.(characters[at] ?? '')) {
      token += 1;
      at += 1;
    } else if (back !== undefined) {
      back.at += 1;
      token = back.token;
      at = back.at;
    } else return false;
  }
  while (tokens[token] === 'any') token += 1;
  return token === tokens.length;
}
