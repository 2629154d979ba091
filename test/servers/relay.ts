import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/**
 * What a network, or a server at its other end, does to connections:
 * `pass` nothing; `hang` bytes are taken and go nowhere until it passes again; `slow` each piece comes late; `garbage` replies are
 * other bytes; `error` connections are cut off when something is sent; `gone` nobody listens.
 */
export type RelayMode = 'pass' | 'hang' | 'slow' | 'garbage' | 'error' | 'gone';

const SLOW_MS = 60;

/** Stands between a client and a real server on this machine, and does to their connections what it is told to. */
export class Relay {
  readonly #targetPort: number;
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #port = 0;
  #mode: RelayMode = 'pass';
  #waiting: (() => void)[] = [];

  private constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#server = createServer((client) => this.#take(client));
  }

  static async start(targetPort: number): Promise<Relay> {
    const relay = new Relay(targetPort);
    await relay.#listen();
    return relay;
  }

  get port(): number {
    return this.#port;
  }

  /** The address of the server, by way of this relay. */
  through(url: string): string {
    return url.replace(`:${this.#targetPort}`, `:${this.#port}`);
  }

  /** After `garbage` it also cuts off what it has spoilt: who is told a length of 2 GB would wait for the rest. */
  async set(mode: RelayMode): Promise<void> {
    if (this.#mode === 'garbage') this.#cutAll();
    this.#mode = mode;
    if (mode !== 'hang') for (const go of this.#waiting.splice(0)) go();
    if (mode === 'gone') {
      this.#server.close();
      this.#cutAll();
    } else if (!this.#server.listening) {
      await this.#listen();
    }
  }

  async stop(): Promise<void> {
    await this.set('pass');
    this.#server.close();
    this.#cutAll();
  }

  async #listen(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (typeof address === 'object' && address !== null) this.#port = address.port;
  }

  #take(client: Socket): void {
    const server = connect(this.#targetPort, '127.0.0.1');
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    this.#forward(client, server, false);
    this.#forward(server, client, true);
    for (const socket of pair) {
      socket.on('error', () => this.#cut(pair));
      socket.on('close', () => this.#cut(pair));
    }
  }

  #forward(from: Socket, to: Socket, isReply: boolean): void {
    let last = Promise.resolve();
    from.on('data', (piece: Buffer) => {
      last = last.then(async () => {
        if (this.#mode === 'hang') await new Promise<void>((go) => this.#waiting.push(go));
        if (this.#mode === 'slow') await new Promise((go) => setTimeout(go, SLOW_MS));
        if (this.#mode === 'error') to.destroy();
        if (this.#mode === 'garbage' && isReply) scramble(piece);
        if (!to.destroyed) to.write(piece);
      });
    });
  }

  #cut(pair: readonly [Socket, Socket]): void {
    this.#pairs.delete(pair);
    for (const socket of pair) socket.destroy();
  }

  #cutAll(): void {
    for (const pair of [...this.#pairs]) this.#cut(pair);
  }
}

/** Other bytes of the same number, the same each time. */
function scramble(bytes: Buffer): void {
  for (let at = 0; at < bytes.length; at += 1)
    bytes[at] = ((bytes[at] ?? 0) * 167 + at * 13 + 89) & 255;
}
