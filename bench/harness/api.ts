/** The server's API, as far as the benchmarks use it. */
import { HttpClient, type Reply } from './http-client.js';

export interface ProcessView {
  readonly role: 'main' | 'worker' | 'preparer';
  readonly pid: number;
  readonly rss_mb: number;
  readonly pss_mb: number;
  readonly private_mb: number;
}

export interface MemoryView {
  readonly server_total_mb: number;
  readonly server_used_mb: number;
  readonly load_line_mb: number;
  readonly pressure: 'normal' | 'elevated' | 'critical';
  readonly processes: readonly ProcessView[];
}

export interface ReceiptView {
  readonly id: string;
  readonly kind: string;
  readonly cause: string;
  readonly started_at: string;
  readonly duration_ms: number;
  readonly before: { readonly private_mb: number };
  readonly after: { readonly private_mb: number };
  readonly freed_private_mb: number;
  readonly actions: readonly { readonly action: string; readonly duration_ms: number }[];
}

export interface SessionView {
  readonly id: string;
  readonly failures: number;
  readonly cleanup: ReceiptView | null;
}

export interface ClassifyBody {
  readonly model: string;
  readonly inputs: string | readonly string[];
  readonly session?: string;
  readonly user?: string;
}

export interface AnswerView {
  readonly results: readonly (readonly { readonly label: string; readonly score: number }[])[];
}

export interface ModelStateView {
  readonly id: string;
  readonly state: string;
  readonly dtype: string | null;
  readonly mapped_mb: number | null;
  readonly private_mb: number | null;
  readonly workers: readonly { readonly worker: string; readonly state: string }[];
}

/** Most receipts that one request may ask for. */
const MOST_RECEIPTS = 999;

export class Api {
  readonly #client: HttpClient;

  /** @param maxSockets further requests wait in the client, and that wait is part of their time. */
  constructor(url: string, maxSockets?: number) {
    this.#client = new HttpClient(url, maxSockets);
  }

  /** Never rejects: the benchmark judges whether it succeeded. */
  classify(body: ClassifyBody): Promise<Reply> {
    return this.#client.send('POST', '/v1/classify', body);
  }

  /** Never rejects: a refusal may be what is wanted. */
  tryOpenSession(): Promise<Reply> {
    return this.#client.send('POST', '/v1/sessions', {});
  }

  async openSession(): Promise<string> {
    return this.#wanted<SessionView>(await this.tryOpenSession()).id;
  }

  async endSession(id: string): Promise<SessionView & { readonly cleanup: ReceiptView }> {
    const session = await this.#post<SessionView>(`/v1/sessions/${id}/end`);
    const { cleanup } = session;
    if (cleanup === null) throw new Error(`session ${id} ended without a receipt`);
    return { ...session, cleanup };
  }

  memory(): Promise<MemoryView> {
    return this.#get('/v1/memory');
  }

  /** Receipts of that kind since then, oldest first. */
  async receipts(kind: string, sinceMs = 0): Promise<readonly ReceiptView[]> {
    const since = encodeURIComponent(new Date(sinceMs).toISOString());
    const found = await this.#get<{ readonly receipts: readonly ReceiptView[] }>(
      `/v1/receipts?kind=${kind}&since=${since}&limit=${MOST_RECEIPTS}`,
    );
    return [...found.receipts].reverse();
  }

  /** Sum of a metric over its labels. */
  async metric(name: string): Promise<number> {
    const text = await this.#get<string>('/metrics');
    let sum = 0;
    for (const line of text.split('\n')) {
      const [, found, value] = /^([a-zA-Z_:]+)(?:\{[^}]*\})? (\S+)$/.exec(line) ?? [];
      if (found === name) sum += Number(value);
    }
    return sum;
  }

  models(): Promise<{ readonly models: readonly ModelStateView[] }> {
    return this.#get('/v1/models');
  }

  async load(model: string): Promise<void> {
    await this.#post(`/v1/models/${model}/load`);
  }

  async unload(model: string): Promise<void> {
    await this.#post(`/v1/models/${model}/unload`);
  }

  async recycle(): Promise<ReceiptView> {
    return this.#post('/v1/memory/recycle');
  }

  close(): void {
    this.#client.close();
  }

  async #get<T>(path: string): Promise<T> {
    return this.#wanted(await this.#client.send('GET', path));
  }

  async #post<T>(path: string): Promise<T> {
    return this.#wanted(
      await this.#client.send('POST', path, path === '/v1/sessions' ? {} : undefined),
    );
  }

  #wanted<T>(reply: Reply): T {
    if (reply.status >= 200 && reply.status < 300) return reply.body as T;
    throw new Error(`the server said ${reply.status}: ${describeFailure(reply)}`);
  }
}

/** What a reply other than 200 says. */
export function describeFailure(reply: Reply): string {
  const text = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body);
  return `${reply.status} ${text.slice(0, 200)}`;
}

/** The label with the highest score of each text. @throws Error if the reply is no answer */
export function topLabels(reply: Reply): readonly { label: string; score: number }[] {
  if (reply.status !== 200) throw new Error(describeFailure(reply));
  const { results } = reply.body as AnswerView;
  return results.map(([first]) => ({
    label: first?.label ?? '',
    score: first?.score ?? Number.NaN,
  }));
}

/** Private memory of all processes, in MB. */
export function privateMb(memory: MemoryView): number {
  return memory.processes.reduce((sum, process) => sum + process.private_mb, 0);
}
