import type { ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';
import type { EventKind } from '../../../contract/events.js';
import type { PageStream } from '../../services.js';

/** A page whose stream has ended asks again after this time. */
const RECONNECT_MS = 2000;
/** Bytes buffered for a page that does not read, beyond the kernel's buffers; a page that needs more is dropped. */
const MAX_BUFFERED_BYTES = 256 * 1024;
/** A page that has not read its last state misses the next ones; after so many in a row it is dropped. */
const MAX_MISSED = 5;
/** Time for the last bytes to leave once a stream ends. */
const END_MS = 250;

/** Begins a reply of server-sent events; it is written past fastify from here on. */
export function openEventStream(reply: FastifyReply): void {
  const { raw } = reply;
  const headers = Object.entries(reply.getHeaders()).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  );
  reply.hijack();
  raw.writeHead(200, {
    ...Object.fromEntries(headers),
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    // The connection is for this stream alone: it closes with it.
    connection: 'close',
    'x-accel-buffering': 'no',
  });
  raw.write(`retry: ${RECONNECT_MS}\n\n`);
}

/** One page's stream. A page that does not read misses states, and is dropped in the end. */
export class EventStream implements PageStream {
  readonly #raw: ServerResponse;
  #missed = 0;
  /** When the system had last taken all that was sent, by `performance.now()`. */
  #keptUpAtMs = performance.now();

  constructor(raw: ServerResponse) {
    this.#raw = raw;
  }

  send(kind: EventKind, message: Buffer): void {
    const raw = this.#raw;
    if (raw.destroyed || raw.writableEnded) return;
    if (raw.writableLength === 0) this.#keptUpAtMs = performance.now();
    if (kind !== 'state' || !raw.writableNeedDrain) {
      if (kind === 'state') this.#missed = 0;
      raw.write(message);
    } else {
      // Its next state replaces this one.
      this.#missed += 1;
    }
    if (this.#missed > MAX_MISSED || this.#isOverfull(message)) raw.destroy();
  }

  get stalledMs(): number {
    return this.#raw.writableLength === 0 ? 0 : performance.now() - this.#keptUpAtMs;
  }

  end(): void {
    const raw = this.#raw;
    raw.end();
    setTimeout(() => raw.destroy(), END_MS).unref();
  }

  /** One message may be larger than the bound; what waits beside it may not. */
  #isOverfull(message: Buffer): boolean {
    return this.#raw.writableLength > MAX_BUFFERED_BYTES + message.length;
  }
}
