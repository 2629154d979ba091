import { createHmac } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import { MAX_SESSION_CHARACTERS, MAX_USER_CHARACTERS } from '../../contract/classify.js';
import { PlimsollError } from '../../errors.js';

/** In a request: the session that it belongs to. In a reply: the session that answered. */
export const SESSION_HEADER = 'x-plimsoll-session';
/** Who asks. */
export const USER_HEADER = 'x-plimsoll-user';

/** Hashed addresses that are remembered: about 100 KB. */
const KNOWN_ADDRESSES = 512;

/** Says who asks, and in which session. */
export class Callers {
  readonly #addresses: AddressUsers;

  /** @param secret key of the hash that stands for an address. */
  constructor(secret: string) {
    this.#addresses = new AddressUsers(secret);
  }

  /**
   * The user: as the body says, else the header, else the key's name, else the caller's hashed address.
   *
   * @throws PlimsollError INVALID_REQUEST for a header that is too long
   */
  userOf(request: FastifyRequest, inBody: string | undefined): string {
    return (
      inBody ??
      headerOf(request, USER_HEADER, MAX_USER_CHARACTERS) ??
      request.caller?.keyName ??
      this.#addresses.of(addressOf(request))
    );
  }

  /**
   * The session: as the body says, else the header; undefined if neither does.
   *
   * @throws PlimsollError INVALID_REQUEST for a header that is too long
   */
  sessionOf(request: FastifyRequest, inBody: string | undefined): string | undefined {
    return inBody ?? headerOf(request, SESSION_HEADER, MAX_SESSION_CHARACTERS);
  }
}

/** Callers at a Unix socket have no address: all of them count as one. */
function addressOf({ ip }: { readonly ip: string | undefined }): string {
  return ip ?? 'unix';
}

/** One of our headers; an empty one counts as missing. */
function headerOf(request: FastifyRequest, name: string, most: number): string | undefined {
  const sent = request.raw.headers[name];
  if (typeof sent !== 'string' || sent === '') return undefined;
  const value = textOf(sent);
  if (value.length <= most) return value;
  const message = `the header ${name} has ${value.length} characters; at most ${most} are allowed`;
  throw new PlimsollError('INVALID_REQUEST', message);
}

const BEYOND_ASCII = /[\u0080-\u00ff]/;
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The text of a header, of whose bytes Node makes a character each. Clients write UTF-8; the few that write Latin-1 (RFC 9110,
 * section 5.5) are told apart by bytes that are no UTF-8.
 */
function textOf(sent: string): string {
  if (!BEYOND_ASCII.test(sent)) return sent;
  try {
    return UTF8.decode(Buffer.from(sent, 'latin1'));
  } catch {
    return sent;
  }
}

/** Names callers who give none by their address, of which only a keyed hash is kept. */
class AddressUsers {
  readonly #secret: string;
  /** Most requests come from few addresses. */
  readonly #known = new LRUCache<string, string>({ max: KNOWN_ADDRESSES });

  constructor(secret: string) {
    this.#secret = secret;
  }

  of(address: string): string {
    const known = this.#known.get(address);
    if (known !== undefined) return known;
    const hash = createHmac('sha256', this.#secret).update(address).digest('hex');
    const user = `address-${hash.slice(0, 12)}`;
    this.#known.set(address, user);
    return user;
  }
}
