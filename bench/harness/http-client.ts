/**
 * JSON over kept-alive connections to the server under test, over plain sockets and with just as much of
 * HTTP/1.1 as such servers answer with. node:http takes 0.2 ms of CPU for a request; where every core is
 * measured, that is taken from the server.
 */
import { Buffer } from 'node:buffer';
import net from 'node:net';

/** A reply, or what kept it from coming: `status` 0 and the system's error code. */
export interface Reply {
  readonly status: number;
  readonly body: unknown;
  readonly retryAfter: string | undefined;
  /** When it was sent, in ms since 1970: receipts have the same clock. */
  readonly sentAtMs: number;
  /** From sending to the last byte of the reply. */
  readonly ms: number;
}

type Arrived = Pick<Reply, 'status' | 'body' | 'retryAfter'>;

interface Waiting {
  readonly payload: string;
  readonly resolve: (arrived: Arrived) => void;
}

const TIMEOUT_MS = 120_000;
const HEAD_END = Buffer.from('\r\n\r\n');

export class HttpClient {
  readonly #host: string;
  readonly #port: number;
  readonly #maxSockets: number;
  /** The last one used is taken first: few connections stay warm, the others rest. */
  readonly #idle: Connection[] = [];
  readonly #open = new Set<Connection>();
  readonly #queue: Waiting[] = [];

  constructor(url: string, maxSockets = 128) {
    const { hostname, port } = new URL(url);
    this.#host = hostname;
    this.#port = Number(port);
    this.#maxSockets = maxSockets;
  }

  /** Never rejects: what fails is a reply with status 0. */
  async send(method: 'GET' | 'POST', path: string, body?: unknown): Promise<Reply> {
    const sentAtMs = Date.now();
    const begun = performance.now();
    const text = body === undefined ? '' : JSON.stringify(body);
    const type = body === undefined ? '' : 'content-type: application/json\r\n';
    const length = Buffer.byteLength(text);
    const payload = `${method} ${path} HTTP/1.1\r\nhost: ${this.#host}:${this.#port}\r\n${type}content-length: ${length}\r\n\r\n${text}`;
    const arrived = await new Promise<Arrived>((resolve) => this.#start({ payload, resolve }));
    return { ...arrived, sentAtMs, ms: performance.now() - begun };
  }

  close(): void {
    for (const connection of this.#open) connection.destroy();
  }

  #start(waiting: Waiting): void {
    const connection = this.#idle.pop() ?? this.#connect();
    if (connection === undefined) this.#queue.push(waiting);
    else connection.ask(waiting);
  }

  #connect(): Connection | undefined {
    if (this.#open.size >= this.#maxSockets) return undefined;
    const connection = new Connection(
      net.connect({ host: this.#host, port: this.#port, noDelay: true }),
      () => {
        const next = this.#queue.shift();
        if (next === undefined) this.#idle.push(connection);
        else connection.ask(next);
      },
      () => {
        this.#open.delete(connection);
        const at = this.#idle.indexOf(connection);
        if (at >= 0) this.#idle.splice(at, 1);
        const next = this.#queue.shift();
        if (next !== undefined) this.#start(next);
      },
    );
    this.#open.add(connection);
    return connection;
  }
}

/** One connection: one request at a time. */
class Connection {
  readonly #socket: net.Socket;
  readonly #onFree: () => void;
  #asked: Waiting | undefined;
  #received: Buffer | undefined;
  #error = 'the connection was closed';

  constructor(socket: net.Socket, onFree: () => void, onClosed: () => void) {
    this.#socket = socket;
    this.#onFree = onFree;
    socket.setTimeout(TIMEOUT_MS);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('timeout', () => {
      this.#error = 'timeout';
      if (this.#asked !== undefined) socket.destroy();
    });
    socket.on('error', (error) => {
      this.#error = error.message;
    });
    socket.on('close', () => {
      onClosed();
      this.#answer({ status: 0, body: this.#error, retryAfter: undefined });
    });
  }

  ask(waiting: Waiting): void {
    this.#asked = waiting;
    this.#socket.write(waiting.payload);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    const received = this.#received === undefined ? chunk : Buffer.concat([this.#received, chunk]);
    this.#received = received;
    const headEnd = received.indexOf(HEAD_END);
    if (headEnd < 0) return;
    const head = received.toString('latin1', 0, headEnd);
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (length === undefined) {
      this.#error = `a reply of another form: ${head.slice(0, 100)}`;
      this.#socket.destroy();
      return;
    }
    const bodyStart = headEnd + HEAD_END.length;
    if (received.length < bodyStart + Number(length)) return;
    this.#received = undefined;
    const body = parsed(received.toString('utf8', bodyStart, bodyStart + Number(length)));
    const retryAfter = /\r\nretry-after: *([^\r]*)/i.exec(head)?.[1];
    const arrived = { status: Number(head.slice(9, 12)), body, retryAfter };
    const closes = /\r\nconnection: *close/i.test(head);
    const asked = this.#asked;
    this.#asked = undefined;
    if (closes) this.#socket.destroy();
    else this.#onFree();
    asked?.resolve(arrived);
  }

  #answer(arrived: Arrived): void {
    this.#asked?.resolve(arrived);
    this.#asked = undefined;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
