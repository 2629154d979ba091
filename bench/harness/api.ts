/** The server's interface, as far as the benchmarks use it. */
import { PlimsollClient, type Send } from '../../src/client/client.js';
import type { Answer, ClassifyRequest, LabelScore } from '../../src/contract/classify.js';
import type { ModelDetail, Models } from '../../src/contract/models.js';
import type { Receipt, Receipts } from '../../src/contract/receipts.js';
import type { SessionView } from '../../src/contract/sessions.js';
import type { MemoryView } from '../../src/contract/state/memory.js';
import { HttpClient, type Reply } from './http-client.js';

/** A request that names its model: benchmarks serve several. */
export type ClassifyBody = ClassifyRequest & Required<Pick<ClassifyRequest, 'model'>>;

/** Most receipts that one request may ask for. */
const MOST_RECEIPTS = 999;

export class Api {
  readonly #client: HttpClient;
  /** The typed client over the same connections. */
  readonly #typed: PlimsollClient;

  /** @param maxSockets further requests wait in the client; their waiting counts as response time. */
  constructor(url: string, maxSockets?: number) {
    this.#client = new HttpClient(url, maxSockets);
    const send: Send = (method, address, body) => this.#client.send(method, address, body);
    this.#typed = new PlimsollClient({ url, send });
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

  async endSession(id: string): Promise<SessionView & { readonly cleanup: Receipt }> {
    const session = await this.#typed.endSession(id);
    const { cleanup } = session;
    if (cleanup === null) throw new Error(`session ${id} ended without a receipt`);
    return { ...session, cleanup };
  }

  memory(): Promise<MemoryView> {
    return this.#typed.memory();
  }

  /** Receipts of that kind since then, oldest first. */
  async receipts(kind: string, sinceMs = 0): Promise<readonly Receipt[]> {
    const since = encodeURIComponent(new Date(sinceMs).toISOString());
    const found = await this.#get<Receipts>(
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

  models(): Promise<Models> {
    return this.#get('/v1/models');
  }

  model(id: string): Promise<ModelDetail> {
    return this.#typed.model(id);
  }

  async load(model: string): Promise<void> {
    await this.#typed.load(model);
  }

  async unload(model: string): Promise<void> {
    await this.#typed.unload(model);
  }

  async recycle(): Promise<Receipt> {
    return this.#typed.recycle();
  }

  close(): void {
    this.#client.close();
  }

  async #get<T>(path: string): Promise<T> {
    return this.#wanted(await this.#client.send('GET', path));
  }

  #wanted<T>(reply: Reply): T {
    if (reply.status >= 200 && reply.status < 300) return reply.body as T;
    throw new Error(`the server said ${reply.status}: ${describeFailure(reply)}`);
  }
}

/** Status and beginning of a reply that is not an answer. */
export function describeFailure(reply: Reply): string {
  const text = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body);
  return `${reply.status} ${text.slice(0, 200)}`;
}

/** The label with the highest score for each text. @throws Error if the reply is not an answer. */
export function topLabels(reply: Reply): readonly LabelScore[] {
  if (reply.status !== 200) throw new Error(describeFailure(reply));
  const { results } = reply.body as Answer;
  return results.map(([first]) => ({
    label: first?.label ?? '',
    score: first?.score ?? Number.NaN,
  }));
}

/** Private memory of all processes, in MB. */
export function privateMb(memory: MemoryView): number {
  return memory.processes.reduce((sum, process) => sum + process.private_mb, 0);
}
