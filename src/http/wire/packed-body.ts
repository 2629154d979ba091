import type { IncomingMessage } from 'node:http';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { FastifyInstance } from 'fastify';
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
    const raw: IncomingMessage = request.raw;
    const unpacked = Object.assign(UNPACKERS[name as keyof typeof UNPACKERS](), {
      // By fastify's contract: what is compared with Content-Length.
      receivedEncodedLength: 0,
    });
    raw.on('data', (chunk: Buffer) => {
      unpacked.receivedEncodedLength += chunk.length;
    });
    raw.once('error', (error) => unpacked.destroy(error));
    raw.once('aborted', () => unpacked.destroy());
    // A refused body is still taken in, by the reply: nothing of it is to be unpacked.
    reply.raw.once('close', () => {
      raw.unpipe(unpacked);
      unpacked.destroy();
    });
    done(null, raw.pipe(unpacked));
  });
}
