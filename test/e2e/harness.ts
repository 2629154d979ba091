import type { ChildProcess } from 'node:child_process';
import { cp } from 'node:fs/promises';
import http from 'node:http';
import type { Server as Listener } from 'node:net';
import path from 'node:path';
import { afterAll, afterEach, inject } from 'vitest';
import type { Answer } from '../../src/contract/classify.js';
import type { ErrorBody } from '../../src/contract/errors.js';
import type { Receipt } from '../../src/contract/receipts.js';
import type { SessionView } from '../../src/contract/sessions.js';
import type { MemoryView } from '../../src/contract/state/memory.js';
import { type Exit, exitOf, launch, removeFolders, temporaryFolder } from './processes.js';

export { argumentsOf, childrenOf, isRunning, run, temporaryFolder, until } from './processes.js';

/** One line of the server's log. */
export interface LogLine {
  readonly msg: string;
  readonly level: number;
  readonly [field: string]: unknown;
}

export interface Reply<T> {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  /** The parsed JSON; the text where the reply is not JSON. */
  readonly body: T;
}

export interface Call {
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is, instead of `body`. */
  readonly raw?: string | Buffer;
  readonly headers?: http.OutgoingHttpHeaders;
  /** No server is named, which HTTP/1.1 does not allow. */
  readonly withoutHost?: true;
  /** Without one the connection is not used again. */
  readonly agent?: http.Agent;
}

export interface ServerOptions {
  readonly settings?: Readonly<Record<string, string | number>>;
  /** Folder of models; the bundled ones by default. */
  readonly models?: string;
  /** Data folder; a fresh one by default. */
  readonly data?: string;
  /** Whether the fresh folder is really empty: else it has the bundled model's mapped forms already. */
  readonly isUnprepared?: boolean;
  /** A free one by default. */
  readonly port?: number;
  /** Further flags of `plimsoll serve`. */
  readonly flags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** A program of the fixtures in place of `plimsoll serve`; it takes the same flags. */
  readonly program?: string;
  /** Listening sockets that it inherits; its address is that of the first one. */
  readonly sockets?: readonly Listener[];
}

/** A running `plimsoll serve`. */
export interface Server {
  readonly url: string;
  readonly pid: number;
  readonly data: string;
  /** Lines of its log so far. */
  readonly logs: readonly LogLine[];
  /** Everything that it has printed. */
  readonly output: () => string;
  readonly exited: Promise<Exit>;
  /** While it is held nobody reads what it prints. */
  readonly holdLog: (isHeld: boolean) => void;
  /** SIGTERM, then waits for the end. */
  readonly stop: () => Promise<Exit>;
  /** SIGKILL, then waits for the end. */
  readonly kill: () => Promise<Exit>;
}

/**
 * Which faster form agrees, and whether one is faster, depends on the machine: tests of that say so. So do tests
 * that need several workers: each costs about a second of CPU time at every start.
 */
const DEFAULTS = { 'models.dtype': 'fp32', 'worker.count': 1 };
const START_MS = 60_000;
const REQUEST_MS = 60_000;
const servers = new Set<{ readonly child: ChildProcess; readonly output: () => string }>();

/** Each server has its own copy of the forms: it may remove and replace them. */
async function freshData({ models, isUnprepared }: ServerOptions): Promise<string> {
  const data = path.join(await temporaryFolder(), 'data');
  if (models === undefined && isUnprepared !== true) {
    await cp(inject('preparedForms'), path.join(data, 'mapped'), { recursive: true });
  }
  return data;
}

/** Starts the real server on a free port of the loopback interface and waits until it listens. */
export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const data = options.data ?? (await freshData(options));
  const args = [
    ...(options.program === undefined ? ['serve'] : []),
    ...['--port', String(options.port ?? 0), '--data', data],
  ];
  if (options.models !== undefined) args.push('--models', options.models);
  args.push(...(options.flags ?? []));
  for (const [key, value] of Object.entries({ ...DEFAULTS, ...options.settings })) {
    args.push('--set', `${key}=${value}`);
  }
  const { environment = {}, program, sockets } = options;
  const child = launch(args, { program, environment, sockets });
  const exited = exitOf(child);
  const logs: LogLine[] = [];
  let printed = '';
  let unfinished = '';
  const output = () => printed;
  servers.add({ child, output });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  const url = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`the server does not listen after ${START_MS} ms:\n${printed}`));
    }, START_MS);
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
      const lines = (unfinished + text).split('\n');
      unfinished = lines.pop() ?? '';
      for (const line of lines.filter((candidate) => candidate.startsWith('{'))) {
        const entry = JSON.parse(line) as LogLine;
        logs.push(entry);
        if (!entry.msg.startsWith('Plimsoll listens on')) continue;
        clearTimeout(timer);
        resolve(String(entry.address));
      }
    });
    void exited.then(({ code, signal }) => {
      clearTimeout(timer);
      reject(new Error(`the server ended (${signal ?? code}) before it listened:\n${printed}`));
    });
  });
  const end = (signal: NodeJS.Signals) => () => {
    child.kill(signal);
    return exited;
  };
  const { pid = -1 } = child;
  const holdLog = (isHeld: boolean) =>
    void (isHeld ? child.stdout?.pause() : child.stdout?.resume());
  return {
    url,
    pid,
    data,
    logs,
    output,
    exited,
    holdLog,
    stop: end('SIGTERM'),
    kill: end('SIGKILL'),
  };
}

/** One request to the server. */
export function request<T = unknown>(
  server: { readonly url: string },
  method: string,
  address: string,
  call: Call = {},
): Promise<Reply<T>> {
  const payload = call.raw ?? (call.body === undefined ? undefined : JSON.stringify(call.body));
  const { hostname, port } = new URL(server.url);
  const length = payload === undefined ? {} : { 'content-length': Buffer.byteLength(payload) };
  const headers = {
    ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
    ...(call.headers?.['transfer-encoding'] === undefined ? length : {}),
    ...call.headers,
  };
  return new Promise((resolve, reject) => {
    const target = { hostname, port, method, path: address, headers };
    const setHost = call.withoutHost !== true;
    const options = { ...target, setHost, agent: call.agent ?? false };
    const outgoing = http.request(options, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        const isJson = /application\/json/.test(incoming.headers['content-type'] ?? '');
        const body = (isJson && text !== '' ? JSON.parse(text) : text) as T;
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text, body });
      });
    });
    outgoing.setTimeout(REQUEST_MS, () => {
      outgoing.destroy(new Error(`no answer to ${method} ${address} within ${REQUEST_MS} ms`));
    });
    outgoing.on('error', reject);
    outgoing.end(payload);
  });
}

/** A request that must succeed; the error that came instead is in the failure. */
async function succeed<T>(
  server: { readonly url: string },
  method: string,
  address: string,
  call: Call = {},
): Promise<T> {
  const reply = await request<T>(server, method, address, call);
  if (reply.status >= 200 && reply.status < 300) return reply.body;
  throw new Error(`${method} ${address}: ${reply.status} ${reply.text}`);
}

export function get<T>(server: { readonly url: string }, address: string): Promise<T> {
  return succeed<T>(server, 'GET', address);
}

export function post<T>(
  server: { readonly url: string },
  address: string,
  body?: unknown,
  agent?: http.Agent,
): Promise<T> {
  return succeed<T>(server, 'POST', address, {
    ...(body === undefined ? {} : { body }),
    ...(agent === undefined ? {} : { agent }),
  });
}

export function classify(
  server: { readonly url: string },
  inputs: string | readonly string[],
  fields: Readonly<Record<string, unknown>> = {},
  agent?: http.Agent,
): Promise<Answer> {
  return post<Answer>(server, '/v1/classify', { inputs, ...fields }, agent);
}

export function openSession(
  server: { readonly url: string },
  maxUsers?: number,
): Promise<SessionView> {
  const body = maxUsers === undefined ? {} : { max_users: maxUsers };
  return post<SessionView>(server, '/v1/sessions', body);
}

/** Ends a session; its cleanup has then run. */
export async function endSession(
  server: { readonly url: string },
  id: string,
): Promise<SessionView & { readonly cleanup: Receipt }> {
  const ended = await post<SessionView>(server, `/v1/sessions/${id}/end`);
  if (ended.cleanup === null) throw new Error(`session ${id} ended without a receipt`);
  return { ...ended, cleanup: ended.cleanup };
}

export async function workerPids(server: { readonly url: string }): Promise<readonly number[]> {
  const { processes } = await get<MemoryView>(server, '/v1/memory');
  return processes.filter(({ role }) => role === 'worker').map(({ pid }) => pid);
}

export type ErrorReply = Reply<ErrorBody>;

/** The label with the highest score. */
export function topLabel(results: Answer['results'][number] | undefined): string {
  return results?.[0]?.label ?? 'nothing';
}

// Hooks of the file that imports this one: a failed test shows the log, and nothing is left behind.
afterEach(({ task }) => {
  if (task.result?.state !== 'fail') return;
  for (const { child, output } of servers) {
    process.stderr.write(`\n── log of server ${child.pid}\n${output().slice(-8000)}\n`);
  }
});

afterAll(async () => {
  for (const { child } of servers) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const exited = exitOf(child);
    child.kill('SIGKILL');
    await exited;
  }
  await removeFolders();
});
