import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import { limitHandshakes } from './handshakes.js';
import { STALLED_ANSWER_MS, StalledAnswers } from './stalled-answers.js';

/** Time in which the head of a request must have arrived, ms. */
export const HEADERS_TIMEOUT_MS = 10_000;
/** Time in which a whole request must have arrived, ms: slow senders cannot hold connections. */
export const REQUEST_TIMEOUT_MS = 30_000;
/** Time between two looks for connections that are over one of these, ms. Node's default is 30 s. */
export const TIMEOUT_CHECK_MS = 1000;
/** Connections beyond the maximum, for health checks: while they wait for their request they hold no other place. */
const SPARE_CONNECTIONS = 64;

export interface ConnectionOptions {
  /** By default {@link STALLED_ANSWER_MS}. */
  readonly stalledAnswerMs?: number;
  /** A client did not read its answer, and its connection was ended. */
  readonly onStalled?: () => void;
}

/**
 * Keeps the number of open connections at `maxConnections`. A new connection beyond it takes the place of the
 * one that has been idle longest: no request of it is being answered, be it that it waits for its next one, or
 * that its first one has not arrived yet. Where every connection is being answered, the new one is one of a few spare
 * ones, for one request, which the server may refuse; the newest of these stay.
 *
 * Node itself (`server.maxConnections`) closes every new connection, so that whoever holds idle ones keeps
 * all others out.
 *
 * @returns whether a connection is a spare one: every other one is being answered.
 */
export function limitConnections(
  server: Server,
  maxConnections: number,
  { stalledAnswerMs = STALLED_ANSWER_MS, onStalled = () => undefined }: ConnectionOptions = {},
): (socket: Socket) => boolean {
  const places = new ConnectionPlaces(maxConnections);
  const stalled = new StalledAnswers(stalledAnswerMs, onStalled);
  let looksWhileClosing = 0;
  const looks = setInterval(() => {
    stalled.look(places.answering);
    if (server.listening) return;
    // Node looks for late requests no longer, and waits for those that have begun. What was under way then has arrived.
    if (looksWhileClosing > 0) places.closeIdle();
    looksWhileClosing += 1;
  }, TIMEOUT_CHECK_MS).unref();
  server.once('close', () => clearInterval(looks));

  // Those that are being closed count until they are.
  server.maxConnections = maxConnections + 2 * SPARE_CONNECTIONS;
  // Over TLS requests come on the socket that was secured. Until then it is a handshake, and has no place yet.
  const isTls = server instanceof TlsServer;
  if (isTls) limitHandshakes(server, () => places.free);
  server.on(isTls ? 'secureConnection' : 'connection', (socket: Socket) => {
    socket.once('close', () => {
      places.leave(socket);
      stalled.forget(socket);
    });
    places.enter(socket);
  });
  // One listener for all replies: a closure for each costs more than what it does.
  function answered(this: ServerResponse): void {
    const { socket } = this.req;
    if (places.answered(socket)) stalled.forget(socket);
  }
  // Before the server's own listener, which may answer at once.
  server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    if (places.begin(socket)) response.on('close', answered);
    else response.shouldKeepAlive = false;
  });
  return (socket) => places.isSpare(socket);
}

/** Which connections there are: each is idle, being answered, or spare. */
class ConnectionPlaces {
  readonly #max: number;
  /** Connections without a running request, the one that has been idle longest first. */
  readonly #idle = new Set<Socket>();
  /** With the number of their running requests. */
  readonly #running = new Map<Socket, number>();
  /** The oldest first. */
  readonly #spare = new Set<Socket>();

  constructor(max: number) {
    this.#max = max;
  }

  get free(): number {
    return this.#max - this.#idle.size - this.#running.size;
  }

  get answering(): Iterable<Socket> {
    return this.#running.keys();
  }

  isSpare(socket: Socket): boolean {
    return this.#spare.has(socket);
  }

  /**
   * 1. A new connection takes a free place.
   * 2. There is none: it takes that of the one that has been idle longest.
   * 3. Every other one is being answered: it is a spare one, in place of the oldest of them where there are too many.
   */
  enter(socket: Socket): void {
    const [longest] = this.#idle;
    if (this.free > 0) {
      this.#idle.add(socket); // 1
    } else if (longest !== undefined) {
      close(longest, this.#idle); // 2
      this.#idle.add(socket);
    } else {
      const [oldest] = this.#spare; // 3
      if (oldest !== undefined && this.#spare.size >= SPARE_CONNECTIONS) close(oldest, this.#spare);
      this.#spare.add(socket);
    }
  }

  leave(socket: Socket): void {
    this.#idle.delete(socket);
    this.#running.delete(socket);
    this.#spare.delete(socket);
  }

  /** Closes the connections of which no request is being answered. */
  closeIdle(): void {
    for (const socket of this.#idle) close(socket, this.#idle);
    for (const socket of this.#spare) close(socket, this.#spare);
  }

  /** A request has arrived. @returns whether its connection has a place: it is to be told when it is answered. */
  begin(socket: Socket): boolean {
    if (this.#spare.has(socket) && this.free <= 0) return false;
    this.#idle.delete(socket);
    this.#spare.delete(socket);
    this.#running.set(socket, (this.#running.get(socket) ?? 0) + 1);
    return true;
  }

  /** A request has been answered, or its connection has closed. @returns whether it was the last one that ran */
  answered(socket: Socket): boolean {
    const left = (this.#running.get(socket) ?? 1) - 1;
    if (left > 0) {
      this.#running.set(socket, left);
      return false;
    }
    this.#running.delete(socket);
    if (!socket.destroyed) this.#idle.add(socket);
    return true;
  }
}

function close(socket: Socket, from: Set<Socket>): void {
  from.delete(socket);
  socket.destroy();
}
