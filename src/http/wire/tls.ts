import { readFileSync, statSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import { messageOf } from '../../errors.js';
import { HANDSHAKE_TIMEOUT_MS } from './handshakes.js';

/** How often the files are looked at. */
const LOOK_EVERY_MS = 1000;

/** Files in PEM. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

export interface TlsLog {
  readonly info: (facts: object, line: string) => void;
  readonly warn: (facts: object, line: string) => void;
}

/**
 * A server that speaks HTTPS, and takes a new certificate when the files change: open connections keep the old one.
 *
 * @throws Error naming the settings if the files cannot be read or do not fit together.
 */
export function tlsServer(
  files: TlsFiles,
  options: ServerOptions,
  handler: RequestListener,
  log: TlsLog,
): Server {
  let known = stampOf(files);
  const server = createServer(
    { ...options, handshakeTimeout: HANDSHAKE_TIMEOUT_MS, ...contentsOf(files) },
    handler,
  );
  const timer = setInterval(() => {
    try {
      const stamp = stampOf(files);
      if (stamp === known) return;
      known = stamp;
      server.setSecureContext(contentsOf(files));
      log.info({}, 'the certificate was read again');
    } catch (error) {
      // Both files change one after the other: the next look finds them together.
      log.warn({ reason: messageOf(error) }, 'the certificate stays as it was');
    }
  }, LOOK_EVERY_MS).unref();
  server.once('close', () => clearInterval(timer));
  return server;
}

function contentsOf({ cert, key }: TlsFiles): { readonly cert: Buffer; readonly key: Buffer } {
  try {
    return { cert: readFileSync(cert), key: readFileSync(key) };
  } catch (error) {
    throw new Error(`http.tls.cert and http.tls.key: ${messageOf(error)}`);
  }
}

function stampOf({ cert, key }: TlsFiles): string {
  return [cert, key]
    .map((file) => {
      const found = statSync(file, { throwIfNoEntry: false });
      return found === undefined ? 'none' : `${found.mtimeMs} ${found.size} ${found.ino}`;
    })
    .join(' / ');
}
