import { once } from 'node:events';
import { createServer, request as forward, type IncomingMessage, type Server } from 'node:http';
import net, { type AddressInfo } from 'node:net';

/** What a proxy was asked: `GET http://…` for http, `CONNECT host:port` for https. */
export interface ProxyRequest {
  readonly asked: string;
  readonly authorization: string | undefined;
}

/** A forward proxy on the loopback interface, as a company's network has one. */
export class ProxyServer {
  readonly seen: ProxyRequest[] = [];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const { url = '', method, headers } = request;
      this.#see(request);
      const onwards = forward(url, { method, headers }, (reply) => {
        response.writeHead(reply.statusCode ?? 502, reply.headers);
        reply.pipe(response);
      });
      onwards.on('error', () => response.destroy());
      request.pipe(onwards);
    });
    this.#server.on('connect', (request: IncomingMessage, socket: net.Socket) => {
      this.#see(request);
      const [host = '', port = ''] = (request.url ?? '').split(':');
      const onwards = net.connect(Number(port), host, () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        onwards.pipe(socket).pipe(onwards);
      });
      socket.on('error', () => onwards.destroy());
      onwards.on('error', () => socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'));
    });
  }

  static async start(): Promise<ProxyServer> {
    const proxy = new ProxyServer();
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #see({ method = '', url = '', headers }: IncomingMessage): void {
    this.seen.push({ asked: `${method} ${url}`, authorization: headers['proxy-authorization'] });
  }
}
