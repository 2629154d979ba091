import { isIP } from 'node:net';

/** A setting's value as text cannot be used. The message names the setting, its bounds and unit. */
export class SettingError extends Error {
  override readonly name = 'SettingError';
}

/** How one setting is read from text, checked and shown. */
export interface Setting<T> {
  readonly parse: (text: string) => T;
  readonly fallback: (context: SettingContext) => T;
  /** The default as people read it in `--help`, `plimsoll config` and the README. */
  readonly fallbackText: string;
  readonly unit: string;
  readonly bounds: string;
  readonly about: string;
  readonly secret: boolean;
}

/** What defaults may depend on. */
export interface SettingContext {
  /** CPUs that this process may use (affinity and cgroup quota), possibly fractional. */
  readonly cpus: number;
  /** Kubernetes tells its balancers that a pod ends while it ends it, not before. */
  readonly isInKubernetes?: boolean;
}

interface Common {
  readonly unit?: string;
  readonly about: string;
  readonly secret?: boolean;
}

/** A whole number within bounds. */
export function integer(
  options: Common & {
    readonly default: number | ((context: SettingContext) => number);
    readonly defaultText?: string;
    readonly min: number;
    readonly max: number;
  },
): Setting<number> {
  const bounds = `a whole number from ${options.min} to ${options.max}`;
  const fallback = options.default;
  return {
    ...common(options, bounds),
    parse: (text) => {
      const value = /^-?\d{1,15}$/.test(text.trim()) ? Number(text) : Number.NaN;
      if (!(value >= options.min && value <= options.max)) throw refuse(text, bounds, options.unit);
      return value;
    },
    fallback: typeof fallback === 'function' ? fallback : () => fallback,
    fallbackText: options.defaultText ?? String(fallback),
  };
}

/** A number within bounds, with up to six decimals. */
export function decimal(
  options: Common & { readonly default: number; readonly min: number; readonly max: number },
): Setting<number> {
  const bounds = `a number from ${options.min} to ${options.max}`;
  return {
    ...common(options, bounds),
    parse: (text) => {
      const value = /^\d{1,15}(?:\.\d{1,6})?$/.test(text.trim()) ? Number(text) : Number.NaN;
      if (!(value >= options.min && value <= options.max)) throw refuse(text, bounds, options.unit);
      return value;
    },
    fallback: () => options.default,
    fallbackText: String(options.default),
  };
}

/** One of a few words. */
export function choice<const W extends string>(
  options: Common & { readonly default: W; readonly words: readonly W[] },
): Setting<W> {
  const bounds = `one of ${options.words.join(', ')}`;
  return {
    ...common(options, bounds),
    parse: (text) => {
      const word = options.words.find((candidate) => candidate === text.trim());
      if (word === undefined) throw refuse(text, bounds, options.unit);
      return word;
    },
    fallback: () => options.default,
    fallbackText: options.default,
  };
}

/** Free text (a path, a host name, an address). */
export function text(
  options: Common & {
    readonly default: string;
    readonly defaultText?: string;
    /** Empty is refused: it would mean something else than not set. */
    readonly needed?: boolean;
  },
): Setting<string> {
  const bounds = `text ${options.needed ? 'that is not empty, ' : ''}without NUL bytes`;
  return {
    ...common(options, bounds),
    parse: (value) => {
      const isMissing = options.needed === true && value.trim() === '';
      if (isMissing || value.includes('\0') || value.length > 4096) {
        throw refuse(value, bounds, options.unit);
      }
      return value;
    },
    fallback: () => options.default,
    fallbackText: options.defaultText ?? (options.default || 'none'),
  };
}

/** A name in PostgreSQL that needs no quotes, and no more than its 63 bytes. */
export function identifier(options: Common & { readonly default: string }): Setting<string> {
  const bounds = 'lower-case letters, digits and _, at most 63, not beginning with a digit or pg_';
  return {
    ...common(options, bounds),
    parse: (value) => {
      const name = value.trim();
      if (!/^(?!pg_)[a-z_][a-z0-9_]{0,62}$/.test(name)) throw refuse(value, bounds, options.unit);
      return name;
    },
    fallback: () => options.default,
    fallbackText: options.default,
  };
}

/** Address of another server; empty is none. Its own parser gets only what passes here. */
export function serverAddress(
  options: Common & {
    readonly protocols: readonly string[];
    readonly bounds: string;
    readonly defaultText: string;
  },
): Setting<string> {
  return {
    ...common(options, options.bounds),
    parse: (value) => {
      const trimmed = value.trim();
      if (trimmed !== '' && !isAddress(trimmed, options.protocols)) {
        throw refuse(value, options.bounds, options.unit);
      }
      return trimmed;
    },
    fallback: () => '',
    fallbackText: options.defaultText,
  };
}

function isAddress(value: string, protocols: readonly string[]): boolean {
  if (!URL.canParse(value)) return false;
  const { protocol, hostname, pathname, username, password } = new URL(value);
  if (!protocols.includes(protocol)) return false;
  const local = protocol === 'unix:';
  if (local ? pathname.length < 2 : hostname === '' || !/^\/?\d*$/.test(pathname)) return false;
  try {
    for (const part of [username, password, pathname]) decodeURIComponent(part);
    return true;
  } catch {
    return false;
  }
}

/** Proxies in front of the server: none (`off`), how many, or their addresses. */
export function proxies(options: Common & { readonly default: 'off' }): Setting<string> {
  const bounds =
    'off, a number of proxies from 1 to 16, or addresses divided by commas (IP, IP/bits, loopback, linklocal, uniquelocal)';
  return {
    ...common(options, bounds),
    parse: (value) => {
      const words = value.split(',').map((word) => word.trim());
      const isNumber = words.length === 1 && /^([1-9]|1[0-6])$/.test(words[0] ?? '');
      if (words[0] !== 'off' && !isNumber && !words.every(isProxy)) {
        throw refuse(value, bounds, options.unit);
      }
      return words.join(',');
    },
    fallback: () => options.default,
    fallbackText: options.default,
  };
}

function isProxy(word: string): boolean {
  if (/^(loopback|linklocal|uniquelocal)$/.test(word)) return true;
  const [, address = '', bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(word) ?? [];
  const version = isIP(address);
  return version !== 0 && Number(bits ?? 0) <= (version === 4 ? 32 : 128);
}

/** `true` or `false`. */
export function flag(options: Common & { readonly default: boolean }): Setting<boolean> {
  const bounds = 'true or false';
  return {
    ...common(options, bounds),
    parse: (value) => {
      if (!/^(true|false)$/i.test(value.trim())) throw refuse(value, bounds, options.unit);
      return value.trim().toLowerCase() === 'true';
    },
    fallback: () => options.default,
    fallbackText: String(options.default),
  };
}

/** An amount of memory: bytes, or a share of what the machine (or the cgroup) has. */
export type MemoryAmount =
  | { readonly kind: 'bytes'; readonly bytes: number }
  | { readonly kind: 'percent'; readonly percent: number };

const SUFFIXES: Readonly<Record<string, number>> = { '': 0, k: 1, m: 2, g: 3, t: 4 };

/** Bytes (`536870912`, `512M`, `2G`; powers of 2) or a percentage (`80%`). */
export function memoryAmount(
  options: Common & { readonly default: string; readonly minBytes: number },
): Setting<MemoryAmount> {
  const bounds = `bytes of at least ${options.minBytes} (suffixes K, M, G, T are powers of 1024) or 1% to 100%`;
  const parse = (value: string): MemoryAmount => {
    const percent = /^(\d{1,3}(?:\.\d+)?)\s*%$/.exec(value.trim());
    if (percent !== null) {
      const share = Number(percent[1]);
      if (share >= 1 && share <= 100) return { kind: 'percent', percent: share };
      throw refuse(value, bounds, options.unit);
    }
    const amount = /^(\d{1,15}(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(value.trim());
    const power = SUFFIXES[(amount?.[2] ?? '?').toLowerCase()];
    if (amount === null || power === undefined) throw refuse(value, bounds, options.unit);
    const bytes = Math.floor(Number(amount[1]) * 1024 ** power);
    if (!(bytes >= options.minBytes && bytes <= Number.MAX_SAFE_INTEGER)) {
      throw refuse(value, bounds, options.unit);
    }
    return { kind: 'bytes', bytes };
  };
  return {
    ...common(options, bounds),
    parse,
    fallback: () => parse(options.default),
    fallbackText: options.default,
  };
}

/** The amount in bytes; a percentage is of `wholeBytes`. */
export function amountInBytes(amount: MemoryAmount, wholeBytes: number): number {
  return amount.kind === 'bytes' ? amount.bytes : Math.floor((wholeBytes * amount.percent) / 100);
}

function common(options: Common, bounds: string) {
  return {
    unit: options.unit ?? '',
    about: options.about,
    bounds,
    secret: options.secret ?? false,
  };
}

function refuse(value: string, bounds: string, unit: string | undefined): SettingError {
  const shown = value.length > 60 ? `${value.slice(0, 60)}…` : value;
  return new SettingError(`"${shown}" is not ${bounds}${unit ? ` (${unit})` : ''}`);
}
