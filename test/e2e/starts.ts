import { type ChildProcess, spawn } from 'node:child_process';
import { cp } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { inject } from 'vitest';
import { findNpm, NPM_MAJORS } from '../../scripts/test-nodes.mjs';
import type { LogLine } from './harness.js';
import {
  argumentsOf,
  childrenOf,
  cleanEnvironment,
  type Exit,
  exitOf,
  isRunning,
  MAIN,
  temporaryFolder,
  until,
} from './processes.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START_MS = 150_000;
/** npx keeps a link to the package in npm's cache, which takes it a while to make. */
let npmCache: Promise<string> | undefined;

/** One way of starting the server. */
export interface Way {
  readonly name: string;
  /** The command, up to the arguments of `serve`. */
  readonly command: readonly string[];
  /** npm stands between: it may not know how the server ended. */
  readonly npm: boolean;
}

/** What the package says about its start: people write it, the kernel reads the shebang. */
export const PLAIN_WAYS: readonly Way[] = [
  { name: 'node dist/main.js serve', command: [process.execPath, MAIN, 'serve'], npm: false },
  { name: 'dist/main.js serve', command: [MAIN, 'serve'], npm: false },
];

/** A way that cannot be tried here. */
export interface MissingWay {
  readonly name: string;
  readonly reason: string;
}

/** `npm start` and `npx plimsoll serve` under each npm. */
export function npmWays(): readonly (Way | MissingWay)[] {
  return NPM_MAJORS.flatMap((major): (Way | MissingWay)[] => {
    const { version, program, reason } = findNpm(major);
    const names = [`npm start (npm ${version})`, `npx plimsoll serve (npm ${version})`];
    if (program === undefined) return names.map((name) => ({ name, reason }));
    const npx = path.join(path.dirname(program), 'npx-cli.js');
    const commands = [
      [process.execPath, program, 'start', '--'],
      [process.execPath, npx, 'plimsoll', 'serve'],
    ];
    return names.map((name, index) => ({ name, command: commands[index] ?? [], npm: true }));
  });
}

/** A server that was started in one of the ways. */
export interface Started {
  /** The process that was started: npm's, or the server itself. */
  readonly starter: ChildProcess;
  readonly serverPid: number;
  readonly url: string;
  readonly logs: readonly LogLine[];
  /** The starter, the server and everything below. */
  readonly pids: readonly number[];
  /** Settles when the starter has ended and every process has closed its output. */
  readonly closed: Promise<Exit>;
}

/** Starts the server and waits until it listens and its workers are there. */
export async function startIn(
  way: Way,
  environment: Readonly<Record<string, string>> = {},
): Promise<Started> {
  npmCache ??= temporaryFolder();
  const folder = await temporaryFolder();
  const [program = '', ...args] = way.command;
  // Prepared already: else each start would compile and compare the bundled model, which no test of a start looks at.
  await cp(inject('preparedForms'), path.join(folder, 'data', 'mapped'), { recursive: true });
  const settings = ['log.format=json', 'models.dtype=fp32', 'worker.count=1'];
  const data = [
    ...['--port', '0', '--data', path.join(folder, 'data')],
    ...settings.flatMap((setting) => ['--set', setting]),
  ];
  const kept = Object.entries(cleanEnvironment()).filter(([name]) => !name.startsWith('npm_'));
  const starter = spawn(program, [...args, ...data], {
    cwd: ROOT,
    // A cache of the tests' own, and no registry to ask.
    env: {
      ...Object.fromEntries(kept),
      npm_config_cache: await npmCache,
      npm_config_offline: 'true',
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = exitOf(starter);
  const logs: LogLine[] = [];
  let printed = '';
  let unfinished = '';
  starter.stderr.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  starter.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
    const lines = (unfinished + text).split('\n');
    unfinished = lines.pop() ?? '';
    for (const line of lines) if (line.startsWith('{')) logs.push(JSON.parse(line) as LogLine);
  });
  const listening = () => logs.find(({ msg }) => msg.startsWith('Plimsoll listens on'));
  const { address } = await until(`${way.name} listens`, listening, START_MS).catch(() => {
    starter.kill('SIGKILL');
    throw new Error(`${way.name} did not start:\n${printed}`);
  });
  const pids = descendantsOf(starter.pid ?? -1);
  const serverPid = pids.find((pid) => childrenOf(pid).some(isWorker));
  if (serverPid === undefined) throw new Error(`${way.name} has no workers:\n${printed}`);
  return { starter, serverPid, url: String(address), logs, pids, closed };
}

export function isWorker(pid: number): boolean {
  return argumentsOf(pid).some((argument) => argument.endsWith('worker-main.js'));
}

function descendantsOf(pid: number): readonly number[] {
  return [pid, ...childrenOf(pid).flatMap(descendantsOf)];
}

/** Fails, with what they are, if some of them do not end. */
export async function untilGone(pids: readonly number[]): Promise<void> {
  await until('no process is left', () => !pids.some(isRunning)).catch((error: unknown) => {
    const left = pids.filter(isRunning).map((pid) => `${pid} ${argumentsOf(pid).join(' ')}`);
    for (const pid of pids.filter(isRunning)) process.kill(pid, 'SIGKILL');
    throw new Error(`${String(error)}: ${left.join('; ')}`);
  });
}
