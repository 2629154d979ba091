/** A small real server that speaks the part of the HTTP contract that the proof uses, and misbehaves on request. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Behaviour {
  /** Answers of `POST /v1/classify`, by the number of the request from 1; undefined answers well. */
  readonly refuse?: (request: number) => { status: number; code: string } | undefined;
  /** Called for each classify request; its reply waits for the promise. */
  readonly hold?: (request: number) => Promise<void>;
  /** Private MB that stay for good after each session. */
  readonly leakMb?: number;
  /** Private MB that a session takes, and that its cleanup returns. */
  readonly takesMb?: number;
  /** The model stays loaded and nothing comes back. */
  readonly skipsCleanup?: boolean;
  readonly withoutReceipt?: boolean;
  readonly withoutMetrics?: boolean;
  readonly refuseSessions?: boolean;
  readonly notReady?: boolean;
  /** Raw body of the reply to classify. */
  readonly classifyBody?: string;
}

export interface ContractServer {
  readonly url: string;
  /** Bodies of `POST /v1/classify`, in order of arrival. */
  readonly classified: readonly { inputs: string; session: string; user: string }[];
  /** Sessions that were ended. */
  readonly ended: readonly string[];
  close(): Promise<void>;
}

const TOTAL_MB = 7811;
const RESTING_MB = 120;

export async function startContractServer(behaviour: Behaviour = {}): Promise<ContractServer> {
  const state = new State(behaviour);
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8');
      void state.answer(request.method ?? '', request.url ?? '', body).then(({ status, reply }) => {
        response.writeHead(status);
        response.end(typeof reply === 'string' ? reply : JSON.stringify(reply));
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    classified: state.classified,
    ended: state.ended,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

interface Answer {
  readonly status: number;
  readonly reply: unknown;
}

class State {
  readonly classified: { inputs: string; session: string; user: string }[] = [];
  readonly ended: string[] = [];
  readonly #behaviour: Behaviour;
  #loaded = false;
  #privateMb = RESTING_MB;
  #loads = 0;
  #unloads = 0;
  #sessions = 0;

  constructor(behaviour: Behaviour) {
    this.#behaviour = behaviour;
  }

  async answer(method: string, path: string, body: string): Promise<Answer> {
    const route = `${method} ${path}`;
    if (route === 'POST /v1/classify') return await this.#classify(body);
    if (route === 'POST /v1/sessions') return this.#open(body);
    if (method === 'POST' && path.endsWith('/end')) return this.#end(path.split('/').at(-2) ?? '');
    if (route === 'GET /v1/memory') return { status: 200, reply: this.#memory() };
    if (route === 'GET /v1/models') return { status: 200, reply: { models: [this.#model()] } };
    if (route === 'GET /metrics') return this.#metrics();
    if (route === 'GET /health/ready') {
      return this.#behaviour.notReady ? refusal(503, 'NOT_READY') : { status: 200, reply: {} };
    }
    return refusal(404, 'NOT_FOUND');
  }

  async #classify(body: string): Promise<Answer> {
    const { inputs, session, user } = JSON.parse(body);
    this.classified.push({ inputs, session, user });
    const number = this.classified.length;
    if (!this.#loaded) {
      this.#loaded = true;
      this.#loads += 1;
      this.#privateMb += this.#behaviour.takesMb ?? 48;
    }
    await this.#behaviour.hold?.(number);
    const refused = this.#behaviour.refuse?.(number);
    if (refused !== undefined) return refusal(refused.status, refused.code);
    if (this.#behaviour.classifyBody !== undefined) {
      return { status: 200, reply: this.#behaviour.classifyBody };
    }
    const label = inputs.includes('prize') ? 'spam' : 'ham';
    const other = label === 'spam' ? 'ham' : 'spam';
    const results = [
      [
        { label, score: 0.98 },
        { label: other, score: 0.02 },
      ],
    ];
    const timing = { queue_ms: 0, tokenize_ms: 0.2, run_ms: 1, total_ms: 1.2 };
    const reply = {
      model: 'spam',
      session,
      user,
      results,
      truncated: [false],
      cached: [false],
      timing,
    };
    return { status: 200, reply };
  }

  #open(body: string): Answer {
    if (this.#behaviour.refuseSessions) return refusal(503, 'UNDER_PRESSURE');
    this.#sessions += 1;
    const { max_users } = JSON.parse(body);
    const opened_at = '2025-08-01T10:00:00.000Z';
    const reply = {
      id: `session-${this.#sessions}`,
      state: 'open',
      max_users,
      users: 0,
      opened_at,
    };
    return { status: 201, reply };
  }

  #end(id: string): Answer {
    this.ended.push(id);
    const before = this.#side();
    const earlier = this.#privateMb;
    this.#privateMb += this.#behaviour.leakMb ?? 0;
    if (!this.#behaviour.skipsCleanup && this.#loaded) {
      this.#loaded = false;
      this.#unloads += 1;
      this.#privateMb -= this.#behaviour.takesMb ?? 48;
    }
    const freed = earlier - this.#privateMb;
    const after = this.#side();
    const actions = [
      { action: 'unload', model: 'spam', worker: 'worker-1', duration_ms: 3.25, freed_mb: freed },
      { action: 'collect_garbage', duration_ms: 8.5, freed_mb: 0 },
    ];
    const cleanup = {
      ...{ id: `receipt-${id}`, kind: 'cleanup', session: id, duration_ms: 12.5, before, after },
      ...{
        started_at: '2025-08-01T10:00:01.000Z',
        freed_mb: freed,
        freed_private_mb: freed,
        actions,
      },
    };
    const session = { id, state: 'ended', users: 8, requests: 80 };
    return {
      status: 200,
      reply: this.#behaviour.withoutReceipt ? session : { ...session, cleanup },
    };
  }

  #side() {
    const used = 700 + this.#privateMb;
    return {
      server_total_mb: TOTAL_MB,
      server_used_mb: used,
      server_percent: (100 * used) / TOTAL_MB,
      private_mb: this.#privateMb,
      pss_mb: this.#privateMb + 20,
    };
  }

  #memory() {
    const { private_mb: _private, pss_mb: _pss, ...machine } = this.#side();
    const process = (role: string, pid: number, mb: number) => ({
      ...{ role, pid, rss_mb: mb + 40, pss_mb: mb + 10, private_mb: mb },
    });
    return {
      ...machine,
      load_line_mb: 0.8 * TOTAL_MB,
      pressure: 'normal',
      users_since_recycle: 0,
      processes: [process('main', 10, 60), process('worker', 11, this.#privateMb - 60)],
    };
  }

  #model() {
    const state = this.#loaded ? 'cold' : 'unloaded';
    return { id: 'spam', task: 'text-classification', labels: ['ham', 'spam'], state };
  }

  #metrics(): Answer {
    if (this.#behaviour.withoutMetrics) return refusal(404, 'NOT_FOUND');
    return {
      status: 200,
      reply: [
        '# HELP plimsoll_model_loads_total Models opened.',
        '# TYPE plimsoll_model_loads_total counter',
        `plimsoll_model_loads_total{model="spam"} ${this.#loads + 100}`,
        `plimsoll_model_unloads_total ${this.#unloads + 100}`,
        `plimsoll_cleanups_total{kind="session"} ${this.ended.length}`,
        'plimsoll_worker_recycles_total 0',
        `plimsoll_cache_hits_total{tier="memory"} ${this.classified.length}`,
        'plimsoll_cache_misses_total 4',
        'process_cpu_seconds_total 3.5',
        '',
      ].join('\n'),
    };
  }
}

function refusal(status: number, code: string): Answer {
  return { status, reply: { error: { code, message: `refused as ${code}`, retryable: true } } };
}
