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
  /** Connections without a running request, the one that has been idle longest first. */
  const idle = new Set<Socket>();
  const running = new Map<Socket, number>();
  /** The oldest first. */
  const spare = new Set<Socket>();
  const isFull = () => idle.size + running.size >= maxConnections;
  const stalled = new StalledAnswers(stalledAnswerMs, onStalled);
  const looks = setInterval(() => stalled.look(running.keys()), TIMEOUT_CHECK_MS).unref();
  server.once('close', () => clearInterval(looks));

  // Those that are being closed count until they are.
  server.maxConnections = maxConnections + 2 * SPARE_CONNECTIONS;
  // Over TLS requests come on the socket that was secured. Until then it is a handshake, and has no place yet.
  const isTls = server instanceof TlsServer;
  if (isTls) limitHandshakes(server, () => maxConnections - idle.size - running.size);
  const event = isTls ? 'secureConnection' : 'connection';
  server.on(event, (socket: Socket) => {
    socket.once('close', () => {
      idle.delete(socket);
      running.delete(socket);
      spare.delete(socket);
      stalled.forget(socket);
    });
    const [longest] = idle;
    if (!isFull()) {
      idle.add(socket);
    } else if (longest !== undefined) {
      close(longest, idle);
      idle.add(socket);
    } else {
      const [oldest] = spare;
      if (oldest !== undefined && spare.size >= SPARE_CONNECTIONS) close(oldest, spare);
      spare.add(socket);
    }
  });
  // One listener for all replies: a closure for each costs more than what it does.
  function answered(this: ServerResponse): void {
    const { socket } = this.req;
    const left = (running.get(socket) ?? 1) - 1;
    if (left > 0) {
      running.set(socket, left);
      return;
    }
    running.delete(socket);
    stalled.forget(socket);
    if (!socket.destroyed) idle.add(socket);
  }
  // Before the server's own listener, which may answer at once.
  server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    if (spare.has(socket) && isFull()) {
      response.shouldKeepAlive = false;
      return;
    }
    idle.delete(socket);
    spare.delete(socket);
    running.set(socket, (running.get(socket) ?? 0) + 1);
    response.on('close', answered);
  });
  return (socket) => spare.has(socket);
}

function close(socket: Socket, from: Set<Socket>): void {
  from.delete(socket);
  socket.destroy();
}
