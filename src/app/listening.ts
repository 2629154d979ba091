import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { FastifyInstance } from 'fastify';
import { chosenDoors } from '../http/doors/open-doors.js';
import { parseOrigins } from '../http/guards/cors.js';
import { isLoopback } from '../http/guards/site-guard.js';
import type { ServerOptions } from '../http/server.js';
import { listen } from '../http/wire/listening.js';
import type { Config } from '../settings/config.js';
import type { InheritedSocket } from '../system/process/inherited-sockets.js';
import { VERSION } from '../version.js';

/** Where the build puts the page. */
const PAGE_FOLDER = fileURLToPath(new URL('../web', import.meta.url));

/** The HTTP server as the settings want it. */
export function serverOptions(
  config: Config,
  inherited: readonly InheritedSocket[],
  of: Pick<ServerOptions, 'maxConnections' | 'keys' | 'logger'>,
): ServerOptions {
  return {
    ...of,
    bodyLimitBytes: config['http.body_limit'],
    host: inherited.length > 0 ? reachedAt(config, inherited) : config['http.host'],
    names: config['http.names']
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== ''),
    role: config['server.role'],
    trustProxy: config['http.trust_proxy'],
    origins: parseOrigins(config['http.cors']),
    ...tlsOf(config),
    doors: chosenDoors(config['http.doors']),
    version: VERSION,
    pageFolder: PAGE_FOLDER,
  };
}

/**
 * Listens at the sockets that were handed over, else at the address or socket of the settings.
 *
 * @param backlog connections that the kernel queues: by default 511, and it drops the rest, whose clients retry after 1, 3 and 7 s.
 * @returns the address
 */
export async function listenAt(
  server: FastifyInstance,
  config: Config,
  inherited: readonly InheritedSocket[],
  backlog: number,
): Promise<string> {
  const { 'http.host': host, 'http.port': port, 'http.socket': socket } = config;
  const descriptors = inherited.map(({ descriptor }) => descriptor);
  await listen(server, { host, port, socket, descriptors, backlog });
  const scheme = config['http.tls.cert'] === '' ? 'http' : 'https';
  return addressOf(server.server.address(), scheme);
}

/**
 * The address by which it is judged who can reach the server. A Unix socket is reached on this machine alone; of sockets that
 * were handed over the one counts that others can reach.
 */
export function reachedAt(config: Config, inherited: readonly InheritedSocket[]): string {
  const [first] = inherited;
  if (first !== undefined) {
    return (inherited.find(({ address }) => !isLoopback(address)) ?? first).address;
  }
  return config['http.socket'] === '' ? config['http.host'] : 'localhost';
}

function tlsOf(config: Config): Pick<ServerOptions, 'tls'> {
  const { 'http.tls.cert': cert, 'http.tls.key': key } = config;
  return cert === '' ? {} : { tls: { cert, key } };
}

function addressOf(address: AddressInfo | string | null, scheme: string): string {
  if (address === null || typeof address === 'string') return `unix:${address}`;
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `${scheme}://${host}:${address.port}`;
}
