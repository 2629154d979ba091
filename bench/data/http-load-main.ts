/**
 * A client that uses less CPU than the servers it loads: each connection sends prepared bytes, and searches the
 * reply only for its end and for the words that it must contain.
 */
import { connect, type Socket } from 'node:net';

export interface LoadJob {
  readonly port: number;
  /** `/v1/classify` by default. */
  readonly path?: string;
  /** JSON bodies, sent in turn. */
  readonly bodies: readonly string[];
  /** Keys, sent in turn: none by default. */
  readonly secrets?: readonly string[];
  readonly connections: number;
  readonly ms: number;
  /** What a reply must contain to count. */
  readonly wanted: string;
}

export interface LoadResult {
  readonly answered: number;
  readonly wrong: number;
  /** The first reply that did not contain it. */
  readonly firstWrong: string;
  readonly seconds: number;
  /** CPU time that this process used. */
  readonly cpuMs: number;
  readonly latencyMs: readonly number[];
}

const HEAD_END = '\r\n\r\n';

/** One for each body, and for each key if these are more. */
function requestsOf({ bodies, path, secrets = [] }: LoadJob): readonly Buffer[] {
  return Array.from({ length: Math.max(bodies.length, secrets.length) }, (_, at) => {
    const secret = secrets[at % secrets.length];
    const key = secret === undefined ? '' : `Authorization: Bearer ${secret}\r\n`;
    return requestOf(bodies[at % bodies.length] ?? '', path ?? '/v1/classify', key);
  });
}

function requestOf(body: string, path: string, key: string): Buffer {
  const bytes = Buffer.from(body);
  const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${key}Content-Length: ${bytes.length}`;
  return Buffer.concat([Buffer.from(head + HEAD_END), bytes]);
}

/** Bytes of the whole reply; undefined until its head is complete. */
function lengthOf(reply: Buffer): number | undefined {
  const head = reply.indexOf(HEAD_END);
  if (head < 0) return undefined;
  const length = /content-length: (\d+)/i.exec(reply.toString('latin1', 0, head))?.[1];
  return head + HEAD_END.length + Number(length);
}

async function load(job: LoadJob): Promise<LoadResult> {
  const requests = requestsOf(job);
  const latencyMs: number[] = [];
  const wanted = Buffer.from(job.wanted);
  let [answered, wrong, firstWrong, next] = [0, 0, '', 0];
  const begun = performance.now();
  const cpu = process.cpuUsage();
  const until = begun + job.ms;
  const play = (socket: Socket) =>
    new Promise<void>((resolve, reject) => {
      let sentAtMs = 0;
      let reply: Buffer = Buffer.alloc(0);
      const send = () => {
        sentAtMs = performance.now();
        if (sentAtMs >= until) {
          socket.destroy();
          resolve();
        } else socket.write(requests[next++ % requests.length] ?? '');
      };
      socket.on('data', (chunk: Buffer) => {
        reply = reply.length === 0 ? chunk : Buffer.concat([reply, chunk]);
        const length = lengthOf(reply);
        if (length === undefined || reply.length < length) return;
        if (reply.includes(wanted)) answered += 1;
        else {
          wrong += 1;
          firstWrong ||= reply.toString('utf8', 0, 600);
        }
        reply = Buffer.alloc(0);
        latencyMs.push(performance.now() - sentAtMs);
        send();
      });
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('the server closed a connection')));
      socket.once('connect', send);
    });
  const sockets = Array.from({ length: job.connections }, () =>
    connect({ port: job.port, host: '127.0.0.1', noDelay: true }),
  );
  await Promise.all(sockets.map(play));
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - begun) / 1000;
  return { answered, wrong, firstWrong, seconds, cpuMs: (user + system) / 1000, latencyMs };
}

process.on('message', async (job: LoadJob) => {
  process.send?.(await load(job));
});
