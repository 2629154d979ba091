/** Disturbs a server on purpose: kills workers, uses up memory, cuts connections to Redis and PostgreSQL. */
import { fork } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { count, list, mb, plural, seconds } from '../../format.js';
import {
  type MemoryReply,
  parseMemory,
  parseRedisState,
  parseWorkerStates,
} from '../../replies.js';
import { ProofClient, type Reply } from '../client.js';
import type { Disturbance, Disturber } from '../run.js';
import type { TcpProxy } from './tcp-proxy.js';

const MEMORY_HOG = fileURLToPath(new URL('./memory-hog.js', import.meta.url));
const KILLS = 3;
const BETWEEN_KILLS_MS = 700;
const TAKE_STEP_MB = 64;
const TAKE_STEP_MS = 150;
/** Limit as a share of the load line: pressure should rise, the OOM killer should not run. */
const MAX_SHARE_OF_LINE = 1.02;
const HOLD_MS = 1500;
const CUT_MS = 2500;
const LOOK_MS = 100;
/** Time limit for the server's recovery; the kernel's pressure figures are averages over some time. */
const RECOVERY_MS = 120_000;
const REQUEST_MS = 10_000;

export interface ChaosTarget {
  readonly url: string;
  /** The server's main process, a child of ours: only its children are ever killed. */
  readonly pid: number;
  readonly proxies: readonly { readonly name: 'Redis' | 'PostgreSQL'; readonly proxy: TcpProxy }[];
}

type Act = (stop: AbortSignal) => Promise<Disturbance>;

/** Disturbs every second session, by each available means in turn. */
export function chaos(target: ChaosTarget): Disturber {
  const acts = new Chaos(target).acts;
  return async (session, stop) => {
    if (session % 2 === 1) return null;
    const act = acts[(session / 2 - 1) % acts.length];
    return (await act?.(stop)) ?? null;
  };
}

class Chaos {
  readonly #target: ChaosTarget;
  readonly #client: ProofClient;

  constructor(target: ChaosTarget) {
    this.#target = target;
    const { url } = target;
    this.#client = new ProofClient({ url, requestTimeoutMs: REQUEST_MS, connections: 1 });
  }

  get acts(): readonly Act[] {
    return [
      (stop) => this.#killWorkers(stop),
      (stop) => this.#takeMemory(stop),
      ...this.#target.proxies.map(
        ({ name, proxy }): Act =>
          (stop) =>
            this.#cutOff(name, proxy, stop),
      ),
    ];
  }

  async #killWorkers(stop: AbortSignal): Promise<Disturbance> {
    const before = (await this.#workers()).length;
    let kills = 0;
    for (let turn = 0; turn < KILLS && !stop.aborted; turn += 1) {
      const workers = (await this.#memory())?.processes.filter(({ role }) => role === 'worker');
      const pid = workers?.[turn % Math.max(1, workers.length)]?.pid ?? null;
      // Process ids are reused: kill only a child of the server that we started.
      if (pid !== null && (await parentOf(pid)) === this.#target.pid) {
        process.kill(pid, 'SIGKILL');
        kills += 1;
      }
      await pause(BETWEEN_KILLS_MS, stop);
    }
    const backMs = await this.#within(async () => {
      const states = await this.#workers();
      return states.length >= before && states.every((state) => state === 'ready');
    }, stop);
    return {
      what: 'workers killed',
      detail: `${plural(kills, 'worker')} killed with SIGKILL; ${back(`all ${count(before)} ready again`, backMs)}`,
      overcome: kills > 0 && backMs !== null,
    };
  }

  async #takeMemory(stop: AbortSignal): Promise<Disturbance> {
    const child = fork(MEMORY_HOG, {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    const levels = new Set<string>();
    let takenMb = 0;
    try {
      for (;;) {
        const memory = await this.#memory();
        if (memory === null || stop.aborted || child.exitCode !== null) break;
        levels.add(memory.pressure);
        if (memory.pressure === 'critical') break;
        const line = memory.load_line_mb ?? 0;
        if (memory.server_used_mb + TAKE_STEP_MB > line * MAX_SHARE_OF_LINE) {
          // The next regular reading shows the effect of the last step.
          await pause(HOLD_MS, stop);
          levels.add((await this.#memory())?.pressure ?? 'unknown');
          break;
        }
        const taken = new Promise<number>((resolve) => child.once('message', resolve));
        child.send(TAKE_STEP_MB);
        takenMb = await Promise.race([taken, ended.then(() => takenMb)]);
        await pause(TAKE_STEP_MS, stop);
      }
      await pause(HOLD_MS, stop);
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
    const backMs = await this.#within(
      async () => (await this.#memory())?.pressure === 'normal',
      stop,
    );
    const raised = levels.has('elevated') || levels.has('critical');
    return {
      what: 'memory taken away',
      detail: `${mb(takenMb)} taken by another program, pressure ${list([...levels])}; ${back('normal again', backMs)}`,
      overcome: raised && backMs !== null,
    };
  }

  async #cutOff(name: string, proxy: TcpProxy, stop: AbortSignal): Promise<Disturbance> {
    await proxy.cut();
    try {
      await pause(CUT_MS, stop);
    } finally {
      await proxy.mend();
    }
    const backMs = await this.#within(() => this.#uses(name), stop);
    return {
      what: `${name} cut off`,
      detail: `every connection closed and new ones refused for ${seconds(CUT_MS)}; ${back('in use again', backMs)}`,
      overcome: backMs !== null,
    };
  }

  /** Redis by the state of its tier; PostgreSQL by a request that reads the records. */
  async #uses(name: string): Promise<boolean> {
    if (name === 'PostgreSQL') return (await this.#client.get('/v1/receipts?limit=1')).ok;
    const reply = await this.#client.get('/v1/cache');
    return reply.ok && parseRedisState(reply.body) === 'closed';
  }

  async #memory(): Promise<MemoryReply | null> {
    return bodyOf(await this.#client.get('/v1/memory'), parseMemory);
  }

  async #workers(): Promise<readonly string[]> {
    return bodyOf(await this.#client.get('/v1/workers'), parseWorkerStates) ?? [];
  }

  /** @returns after how many ms the condition held; null if it did not in time. */
  async #within(condition: () => Promise<boolean>, stop: AbortSignal): Promise<number | null> {
    const began = performance.now();
    while (performance.now() - began < RECOVERY_MS && !stop.aborted) {
      if (await condition()) return performance.now() - began;
      await pause(LOOK_MS, stop);
    }
    return null;
  }
}

function bodyOf<T>(reply: Reply, parse: (body: unknown) => T | null): T | null {
  return reply.ok ? parse(reply.body) : null;
}

function back(what: string, ms: number | null): string {
  return ms === null
    ? `not ${what} within ${seconds(RECOVERY_MS)}`
    : `${what} after ${seconds(ms)}`;
}

async function pause(ms: number, stop: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal: stop }).catch(() => undefined);
}

async function parentOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/^PPid:\s*(\d+)$/m.exec(status)?.[1] ?? Number.NaN);
}
