import http from 'node:http';
import type { AddressInfo } from 'node:net';

const LOOK_EVERY_MS = 100;

/**
 * A balancer that heeds readiness, and does nothing else for its callers: it looks at every server ten times a second, gives each
 * request to the next one that was ready, and repeats none.
 */
export class Balancer {
  readonly url: string;
  readonly #server: http.Server;
  readonly #agent = new http.Agent({ keepAlive: true });
  /** Addresses, and whether each was ready at the last look. */
  readonly #backends = new Map<string, boolean>();
  readonly #looking: NodeJS.Timeout;
  #next = 0;

  private constructor(server: http.Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (request, response) => this.#pass(request, response));
    this.#looking = setInterval(() => void this.look(), LOOK_EVERY_MS);
  }

  static async start(): Promise<Balancer> {
    const server = http.createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Balancer(server);
  }

  /** Begins to look at a server; it gets requests once it is ready. */
  async add({ url }: { readonly url: string }): Promise<void> {
    this.#backends.set(url, false);
    await this.look();
  }

  get ready(): readonly string[] {
    return [...this.#backends].filter(([, isReady]) => isReady).map(([url]) => url);
  }

  async look(): Promise<void> {
    const looks = [...this.#backends.keys()].map(async (url) => {
      const reply = await fetch(`${url}/health/ready`).catch(() => undefined);
      await reply?.body?.cancel();
      this.#backends.set(url, reply?.status === 200);
    });
    await Promise.all(looks);
  }

  async stop(): Promise<void> {
    clearInterval(this.#looking);
    this.#agent.destroy();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #pass(request: http.IncomingMessage, response: http.ServerResponse): void {
    const { ready } = this;
    this.#next += 1;
    const url = ready[this.#next % Math.max(1, ready.length)];
    if (url === undefined) {
      response.writeHead(503).end('no server is ready');
      return;
    }
    const { hostname, port, host } = new URL(url);
    const { connection: _, ...headers } = request.headers;
    const outgoing = http.request(
      {
        ...{ hostname, port, method: request.method, path: request.url, agent: this.#agent },
        headers: { ...headers, host },
      },
      (incoming) => {
        const type = incoming.headers['content-type'] ?? 'text/plain';
        response.writeHead(incoming.statusCode ?? 502, { 'content-type': type });
        incoming.pipe(response);
      },
    );
    outgoing.on('error', (error) => response.writeHead(502).end(`${url}: ${error.message}`));
    request.pipe(outgoing);
  }
}
