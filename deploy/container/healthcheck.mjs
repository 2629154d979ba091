// Asks the server in this container whether it is ready: node healthcheck.mjs [path]. Exits 0 if it is, 1 with the reason if not.
// It reads the same variables as the server, so that it finds it on another port, behind TLS or at a Unix socket.
import { request } from 'node:http';
import { request as requestOverTls } from 'node:https';

const TIMEOUT_MS = 4000;
const LEAST_HEALTHY = 200;
const MOST_HEALTHY = 299;

const {
  PLIMSOLL_HTTP_PORT: port = '8000',
  PLIMSOLL_HTTP_SOCKET: socketPath = '',
  PLIMSOLL_HTTP_TLS_CERT: certificate = '',
} = process.env;
const options = {
  path: process.argv[2] ?? '/health/ready',
  timeout: TIMEOUT_MS,
  ...(socketPath === '' ? { host: '127.0.0.1', port } : { socketPath }),
};

function end(code, text) {
  process.stdout.write(`${text}\n`, () => process.exit(code));
}

// The certificate is for the name that callers use, not for loopback.
const asked =
  certificate === '' ? request(options) : requestOverTls({ ...options, rejectUnauthorized: false });
asked.on('response', (response) => {
  let body = '';
  response.setEncoding('utf8');
  response.on('data', (chunk) => {
    body += chunk;
  });
  response.on('end', () => {
    const { statusCode = 0 } = response;
    const isHealthy = statusCode >= LEAST_HEALTHY && statusCode <= MOST_HEALTHY;
    end(isHealthy ? 0 : 1, `${statusCode} ${body.trim()}`);
  });
});
asked.on('timeout', () => asked.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
asked.on('error', (error) => end(1, error.message));
asked.end();
