import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { appendFile, mkdir, readdir, rm } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import type { Relay, RelayMode } from './relay.js';

/** One thing that goes wrong at a boundary of the server, and how it ends. */
export interface Fault {
  readonly boundary: 'worker' | 'disk' | 'log' | 'database' | 'redis' | 'client' | 'memory';
  readonly kind: 'hang' | 'slow' | 'error' | 'garbage' | 'gone' | 'critical';
  /** New sessions are refused meanwhile, as they have to be: not for callers who open one for each request. */
  readonly refusesSessions?: true;
  readonly begin: () => Promise<void> | void;
  /** What `/health/ready` says of it after a while, where it is to say something. */
  readonly shows?: RegExp;
  /** Everything is back; a fault that ends by itself needs none. */
  readonly end?: () => Promise<void> | void;
}

/** A running server, and what stands around it. */
export interface Exposed {
  readonly url: string;
  readonly pid: number;
  readonly data: string;
  readonly database: Relay;
  readonly redis: Relay;
  readonly machine: Machine;
  /** Nobody reads its log while it is held. */
  readonly holdLog: (isHeld: boolean) => void;
  /** Process ids of its workers, by its own count. */
  readonly workers: () => Promise<readonly number[]>;
  /** A number from 0 to 1: which worker is hit. */
  readonly random: () => number;
}

/** Another machine's /proc/meminfo, for a server whose `memory.system_root` is this folder. */
export class Machine {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  async make(): Promise<this> {
    await mkdir(path.join(this.root, 'proc'), { recursive: true });
    this.use(20);
    return this;
  }

  /** Percent of its 4 GB that are in use; the line is at 80. */
  use(percent: number): void {
    this.write(meminfoAt(percent));
  }

  write(meminfo: string): void {
    writeFileSync(path.join(this.root, 'proc/meminfo'), meminfo);
  }

  /** Whoever opens it waits: a FIFO that nobody writes to. */
  hang(): void {
    this.remove();
    spawnSync('mkfifo', [path.join(this.root, 'proc/meminfo')]);
  }

  /** Lets those go who wait, who then read nothing. */
  release(): void {
    const file = path.join(this.root, 'proc/meminfo');
    // For reading and writing it opens at once, and is the writer that the others wait for.
    const fifo = openSync(file, constants.O_RDWR | constants.O_NONBLOCK);
    // Put in its place before those who wait look again.
    const next = `${file}.next`;
    writeFileSync(next, meminfoAt(20));
    renameSync(next, file);
    closeSync(fifo);
  }

  remove(): void {
    rmSync(path.join(this.root, 'proc/meminfo'), { force: true });
  }
}

function meminfoAt(percent: number): string {
  const availableKb = Math.round((4 * 2 ** 20 * (100 - percent)) / 100);
  return `MemTotal: 4194304 kB\nMemFree: 1024 kB\nMemAvailable: ${availableKb} kB\n`;
}

/** Whether no file of a running process can be made to grow (prlimit(1) of util-linux, and the right to use it). */
export const canLimitFiles =
  spawnSync('prlimit', ['--pid', String(process.pid), '--fsize=unlimited:']).status === 0;

const CLIENTS = 8;
/** What the faulty clients ask. */
export const FAULTY_TEXT = 'a request that nobody waits for';
const BODY = JSON.stringify({ inputs: FAULTY_TEXT, user: 'faulty' });
const HEAD = `POST /v1/classify HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(BODY)}\r\n`;

/** The faults that {@link faultsOf} makes, for tests that need their names before there is a server. */
export const FAULT_NAMES: readonly string[] = [
  ...['worker hang', 'worker slow', 'worker error', 'worker gone'],
  ...(canLimitFiles ? ['disk error'] : []),
  ...['disk gone', 'disk garbage', 'log hang', 'log slow'],
  ...['database', 'redis'].flatMap((of) =>
    ['hang', 'slow', 'error', 'garbage', 'gone'].map((kind) => `${of} ${kind}`),
  ),
  ...['client hang', 'client slow', 'client error', 'client garbage', 'client gone'],
  ...['memory error', 'memory critical', 'memory garbage', 'memory gone', 'memory hang'],
  'memory slow',
];

export function nameOf({ boundary, kind }: Fault): string {
  return `${boundary} ${kind}`;
}

/** All faults; each may be begun again when it has ended. */
export function faultsOf(server: Exposed): readonly Fault[] {
  const { machine } = server;
  return [
    ...workerFaults(server),
    ...diskFaults(server),
    {
      boundary: 'log',
      kind: 'hang',
      begin: () => server.holdLog(true),
      end: () => server.holdLog(false),
    },
    slowLog(server),
    ...relayFaults('database', server.database, /the database takes no records/),
    ...relayFaults('redis', server.redis, /Redis does not answer/),
    ...clientFaults(server.url),
    // 88 % of the line: pressure is elevated, nobody is refused.
    {
      boundary: 'memory',
      kind: 'error',
      begin: () => machine.use(70.4),
      end: () => machine.use(20),
    },
    // 97 % of the line: caches are emptied, new sessions are refused, those that are open go on.
    {
      ...{ boundary: 'memory', kind: 'critical', refusesSessions: true },
      begin: () => machine.use(77.6),
      end: () => machine.use(20),
    },
    {
      boundary: 'memory',
      kind: 'garbage',
      begin: () => machine.write('\0\xffMemTotal: much kB\n'),
      end: () => machine.use(20),
    },
    { boundary: 'memory', kind: 'gone', begin: () => machine.remove(), end: () => machine.use(20) },
    { boundary: 'memory', kind: 'hang', begin: () => machine.hang(), end: () => machine.release() },
    slowMemory(machine),
  ];
}

/** Time that each look at the kernel's file takes: several intervals of the readings. */
const SLOW_LOOK_MS = 300;

function slowMemory(machine: Machine): Fault {
  let timer: NodeJS.Timeout | undefined;
  return {
    ...{ boundary: 'memory', kind: 'slow' },
    begin: () => {
      machine.hang();
      timer = setInterval(() => {
        machine.release();
        machine.hang();
      }, SLOW_LOOK_MS);
    },
    end: () => {
      clearInterval(timer);
      machine.release();
    },
  };
}

/** Time that the log's reader takes a rest for, before each glance at it. */
const LOG_REST_MS = 200;

/** Its reader takes what a pipe holds, and then nothing for a while. */
function slowLog({ holdLog }: Pick<Exposed, 'holdLog'>): Fault {
  let timer: NodeJS.Timeout | undefined;
  return {
    ...{ boundary: 'log', kind: 'slow' },
    begin: () => {
      holdLog(true);
      timer = setInterval(() => {
        holdLog(false);
        setImmediate(() => holdLog(timer !== undefined));
      }, LOG_REST_MS);
    },
    end: () => {
      clearInterval(timer);
      timer = undefined;
      holdLog(false);
    },
  };
}

function workerFaults({ workers, random }: Exposed): readonly Fault[] {
  const hit = async (signal: NodeJS.Signals): Promise<number | undefined> => {
    const pids = await workers();
    const pid = pids[Math.floor(random() * pids.length)];
    // 0 and below would be groups of processes.
    if (pid === undefined || pid <= 0 || !send(pid, signal)) return undefined;
    return pid;
  };
  let stopped: number | undefined;
  return [
    { boundary: 'worker', kind: 'hang', begin: async () => void (await hit('SIGSTOP')) },
    {
      boundary: 'worker',
      kind: 'slow',
      begin: async () => {
        stopped = await hit('SIGSTOP');
      },
      end: () => void (stopped !== undefined && send(stopped, 'SIGCONT')),
    },
    { boundary: 'worker', kind: 'error', begin: async () => void (await hit('SIGSEGV')) },
    { boundary: 'worker', kind: 'gone', begin: async () => void (await hit('SIGKILL')) },
  ];
}

/** @returns whether the process was there */
function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/** What others wrote behind the records: lines that are none, and one that does not end. */
const GARBAGE = Buffer.from('\0\xff[]\n00000000 ["records"]\nno line', 'latin1');

/** The file for records is needed while there is no database. */
function diskFaults({ pid, data, database }: Exposed): readonly Fault[] {
  const limit = (bytes: number | 'unlimited') =>
    void spawnSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`]);
  const gone: Fault = {
    ...{ boundary: 'disk', kind: 'gone', shows: /the database takes no records/ },
    begin: async () => {
      await database.set('gone');
      // The server writes into it meanwhile: a folder that is no longer empty is tried again.
      await rm(path.join(data, 'records'), { recursive: true, force: true, maxRetries: 20 });
    },
    end: () => database.set('pass'),
  };
  const garbage: Fault = {
    ...{ boundary: 'disk', kind: 'garbage', shows: /the database takes no records/ },
    begin: async () => {
      await database.set('gone');
      for (const name of await readdir(path.join(data, 'records'))) {
        await appendFile(path.join(data, 'records', name), GARBAGE);
      }
    },
    end: () => database.set('pass'),
  };
  if (!canLimitFiles) return [gone, garbage];
  const full: Fault = {
    ...{ boundary: 'disk', kind: 'error', shows: /the file for records cannot be written/ },
    begin: async () => {
      limit(1);
      await database.set('gone');
    },
    end: async () => {
      limit('unlimited');
      await database.set('pass');
    },
  };
  return [full, gone, garbage];
}

function relayFaults(
  boundary: 'database' | 'redis',
  relay: Relay,
  shows: RegExp,
): readonly Fault[] {
  const modes = ['hang', 'slow', 'error', 'garbage', 'gone'] as const satisfies RelayMode[];
  return modes.map((kind) => ({
    ...{ boundary, kind },
    ...(kind === 'slow' ? {} : { shows }),
    begin: () => relay.set(kind),
    end: () => relay.set('pass'),
  }));
}

function clientFaults(url: string): readonly Fault[] {
  let sockets: net.Socket[] = [];
  const connectAll = (first: string) => {
    const { hostname, port } = new URL(url);
    sockets = Array.from({ length: CLIENTS }, () => {
      const socket = net.connect(Number(port), hostname, () => socket.write(first));
      return socket.on('error', () => undefined);
    });
  };
  const leave = () => {
    for (const socket of sockets.splice(0)) socket.destroy();
  };
  return [
    // The body never comes.
    { boundary: 'client', kind: 'hang', begin: () => connectAll(`${HEAD}\r\n`), end: leave },
    {
      boundary: 'client',
      kind: 'slow',
      begin: async () => {
        connectAll('');
        for (const letter of HEAD.slice(0, 40)) {
          for (const socket of sockets) socket.write(letter);
          await new Promise((resolve) => setImmediate(resolve));
        }
      },
      end: leave,
    },
    // A reset in the middle of the body.
    {
      boundary: 'client',
      kind: 'error',
      begin: async () => {
        connectAll(`${HEAD}\r\n${BODY.slice(0, 9)}`);
        const opened = sockets.map((socket) => once(socket, 'connect'));
        await Promise.all(opened);
        for (const socket of sockets.splice(0)) socket.resetAndDestroy();
      },
    },
    {
      boundary: 'client',
      kind: 'garbage',
      begin: () => connectAll('\x16\x03\x01\0\xa5 \r\n\r\n'),
      end: leave,
    },
    // All of it comes, and nobody is there for the answer.
    { boundary: 'client', kind: 'gone', begin: () => connectAll(`${HEAD}\r\n${BODY}`), end: leave },
  ];
}
