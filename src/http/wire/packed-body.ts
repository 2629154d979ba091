import type { IncomingMessage } from 'node:http';
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { PlimsollError } from '../../errors.js';

const UNPACKERS = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
} as const;
const ACCEPTED = 'gzip, deflate, br';

/**
 * Unpacks bodies with `Content-Encoding`. Fastify counts the bytes as they come out and refuses a body at its limit, so
 * that a small body that unpacks to much is stopped there and never held.
 */
export function unpackBodies(app: FastifyInstance): void {
  app.addHook('preParsing', (request, reply, payload, done) => {
    const encoding = request.raw.headers['content-encoding'];
    if (encoding === undefined) return done(null, payload);
    const name = encoding.trim().toLowerCase();
    if (name === '' || name === 'identity') return done(null, payload);
    if (!Object.hasOwn(UNPACKERS, name)) {
      void reply.header('accept-encoding', ACCEPTED);
      const message = `a body may be packed with ${ACCEPTED}, once`;
      return done(new PlimsollError('UNSUPPORTED_MEDIA_TYPE', message));
    }
    const go = (create: Unpacker) => done(null, unpackedWith(create, request.raw, reply));
    if (name !== 'deflate') return go(UNPACKERS[name as keyof typeof UNPACKERS]);
    firstBytes(request.raw, (bytes) => go(hasZlibHeader(bytes) ? createInflate : createInflateRaw));
  });
}

type Unpacker = (typeof UNPACKERS)[keyof typeof UNPACKERS] | typeof createInflateRaw;

/** Streams that unpack a body, each by the request whose body it is. */
const unpacking = new WeakMap<IncomingMessage, ReturnType<Unpacker>>();

/**
 * Unpacks nothing more of a body whose request was refused. The rest of it still has to be taken in: the stream that
 * unpacks it would take as much as it buffers, and wait for a reader who has left.
 */
export function stopUnpacking(raw: IncomingMessage): void {
  const unpacked = unpacking.get(raw);
  if (unpacked === undefined) return;
  unpacking.delete(raw);
  raw.unpipe(unpacked);
  unpacked.destroy();
}

function unpackedWith(create: Unpacker, raw: IncomingMessage, reply: FastifyReply) {
  const unpacked = Object.assign(create(), {
    // By fastify's contract: what is compared with Content-Length.
    receivedEncodedLength: 0,
  });
  raw.on('data', (chunk: Buffer) => {
    unpacked.receivedEncodedLength += chunk.length;
  });
  unpacking.set(raw, unpacked);
  // Fastify takes its listener away when it refuses the body. What fails then would end this process, and nobody is to be told.
  unpacked.on('error', () => undefined);
  raw.once('error', (error) => unpacked.destroy(error));
  raw.once('aborted', () => unpacked.destroy());
  reply.raw.once('close', () => stopUnpacking(raw));
  return raw.pipe(unpacked);
}

/**
 * Looks at the first two bytes of a body, which stay in it. A caller that leaves before is not called back: there is
 * nobody to answer.
 */
function firstBytes(raw: IncomingMessage, found: (bytes: Buffer) => void): void {
  const look = () => {
    const bytes: Buffer | null = raw.read(2) ?? (raw.complete ? raw.read() : null);
    if (bytes === null && !raw.complete) return void raw.once('readable', look);
    if (bytes !== null) raw.unshift(bytes);
    found(bytes ?? Buffer.alloc(0));
  };
  look();
}

/**
 * `deflate` is the zlib format (RFC 9110, section 8.4.1.2), and some clients send the bare one inside it, as that section
 * notes. By its header (RFC 1950, section 2.2): method 8, a window of at most 32 KB, and a number that 31 divides.
 */
function hasZlibHeader(bytes: Buffer): boolean {
  const [method = 0, flags = 0] = bytes;
  return (method & 0x0f) === 8 && method >> 4 <= 7 && (method * 256 + flags) % 31 === 0;
}
