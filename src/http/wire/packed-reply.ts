import { pipeline, type Readable } from 'node:stream';
import {
  type BrotliOptions,
  brotliCompress,
  constants,
  createBrotliCompress,
  createGzip,
  gzip,
  type ZlibOptions,
} from 'node:zlib';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { RouteScope } from '../guards/scopes.js';

/**
 * Shorter replies are sent as they are: up to here a reply fits into the packets that TCP sends without waiting for the
 * caller (RFC 6928), so packing it would cost half a millisecond and win nothing.
 */
const LEAST_BYTES = 8 * 1024;
/** Replies that are packed at the same time. Beyond that they are sent as they are: packing would only add to a queue. */
const MOST_AT_ONCE = 4;
/** `br` at quality 1 packs JSON better than gzip at 6, in half its time. The window bounds its memory: 256 KB. */
const BROTLI: BrotliOptions = {
  params: { [constants.BROTLI_PARAM_QUALITY]: 1, [constants.BROTLI_PARAM_LGWIN]: 18 },
};
const GZIP: ZlibOptions = { level: 1 };

/** What is worth packing; pictures and fonts are packed already. */
const PACKABLE = /^(?:text\/(?!event-stream)|application\/(?:json|javascript)|image\/svg\+xml)/;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The replies may be packed although the route is none that {@link packReplies} packs by itself. */
    packed?: boolean;
  }
}

/**
 * Routes whose replies hold what one caller has sent and what anybody may know. A reply that mixes it with what others
 * have sent must not be packed: its length would tell whoever can add to it, and sees the encrypted traffic, what else
 * is in it (CRIME, BREACH). So sessions, records, receipts and keys, of the scopes `read` and `manage`, are left out.
 */
const PACKED_SCOPES: ReadonlySet<RouteScope> = new Set<RouteScope>(['open', 'any', 'classify']);

const VARY = 'Accept-Encoding';

type Long = string | Buffer | Readable;
type Encoding = 'br' | 'gzip';
type Done = (error?: Error | null, payload?: unknown) => void;

/** Packs long replies for callers that accept it. */
export function packReplies(app: FastifyInstance): void {
  const packer = new Packer();
  app.addHook('onSend', (request, reply, payload, done) => {
    // The usual answer is short: nothing more is looked at.
    if (isLong(payload, reply)) packer.pack(request, reply, payload, done);
    else done(null, payload);
  });
}

function mayBePacked({ routeOptions }: FastifyRequest): boolean {
  const { scope, packed } = routeOptions.config;
  return packed === true || (scope !== undefined && PACKED_SCOPES.has(scope));
}

class Packer {
  #running = 0;

  pack(request: FastifyRequest, reply: FastifyReply, payload: Long, done: Done): void {
    const encoding = this.#encodingFor(request, reply);
    if (encoding === undefined) {
      done(null, payload);
      return;
    }
    this.#running += 1;
    void reply.header('content-encoding', encoding);
    // Parts would be counted in the bytes of the file.
    void reply.removeHeader('content-length').removeHeader('accept-ranges');
    if (typeof payload === 'string' || Buffer.isBuffer(payload)) {
      const packed = (error: Error | null, result: Buffer) => {
        this.#running -= 1;
        done(error, result);
      };
      if (encoding === 'br') brotliCompress(payload, BROTLI, packed);
      else gzip(payload, GZIP, packed);
      return;
    }
    const stream = encoding === 'br' ? createBrotliCompress(BROTLI) : createGzip(GZIP);
    // An error of the source ends the reply: fastify sees it at the end of the stream.
    pipeline(payload, stream, () => {
      this.#running -= 1;
    });
    done(null, stream);
  }

  /**
   * 1. Replies without a body and parts of files stay as they are, and what is packed already or may not be.
   * 2. Others vary with what the caller accepts, packed or not.
   * 3. They are packed, in another thread, unless many are already.
   */
  #encodingFor(request: FastifyRequest, reply: FastifyReply): Encoding | undefined {
    if (request.method === 'HEAD' || reply.statusCode === 206) return undefined; // 1
    const type = String(reply.getHeader('content-type') ?? '');
    if (!PACKABLE.test(type) || reply.hasHeader('content-encoding')) return undefined;
    if (!mayBePacked(request)) return undefined;
    const known = reply.getHeader('vary');
    void reply.header('vary', known === undefined ? VARY : `${known}, ${VARY}`); // 2
    if (this.#running >= MOST_AT_ONCE) return undefined; // 3
    return acceptedOf(request.headers['accept-encoding']);
  }
}

/** Text of a known length, or a stream: those of this server are long, but for files, which say their length. */
function isLong(payload: unknown, reply: FastifyReply): payload is Long {
  if (typeof payload === 'string' || Buffer.isBuffer(payload)) return payload.length >= LEAST_BYTES;
  if (typeof payload !== 'object' || payload === null || !('pipe' in payload)) return false;
  const length = reply.getHeader('content-length');
  return length === undefined || Number(length) >= LEAST_BYTES;
}

/**
 * The encoding that a caller accepts, by its weights (RFC 9110, section 12.5.3); of two that it likes alike, br. Pure.
 *
 * @returns undefined if it wants neither
 */
export function acceptedOf(header: string | string[] | undefined): Encoding | undefined {
  if (header === undefined) return undefined;
  const weights = new Map<string, number>();
  for (const part of String(header).toLowerCase().split(',')) {
    const [name = '', ...parameters] = part.split(';').map((word) => word.trim());
    const weight = parameters.find((word) => word.startsWith('q='));
    weights.set(name, weight === undefined ? 1 : Number(weight.slice(2)));
  }
  const weightOf = (name: string) => weights.get(name) ?? weights.get('*') ?? 0;
  const [br, gz] = [weightOf('br'), Math.max(weightOf('gzip'), weights.get('x-gzip') ?? 0)];
  if (br > 0 && br >= gz) return 'br';
  return gz > 0 ? 'gzip' : undefined;
}
