import { keyHeaders } from './key.js';
import type {
  Answer,
  ClassifyRequest,
  Job,
  ModelDetail,
  ModelView,
  PastEvent,
  PastEvents,
  ProcessReadings,
  Proof,
  ProofStarted,
  Proofs,
  Pull,
  Readings,
  Receipt,
  Receipts,
  RerankAnswer,
  RerankRequest,
  Sessions,
  SessionView,
  TokenClassificationAnswer,
  TokenClassificationRequest,
  ZeroShotAnswer,
  ZeroShotRequest,
} from './wire.js';

/** An error reply, or no reply (status 0). */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** For GET only: an action such as a cleanup may take longer. */
const READ_TIMEOUT_MS = 15_000;

/** @throws ApiError with the server's message; status 0 when it did not answer. */
async function ask<T>(method: string, address: string, body?: unknown): Promise<T> {
  const json = body === undefined ? {} : { body: JSON.stringify(body) };
  const type = body === undefined ? {} : { 'content-type': 'application/json' };
  const headers = { ...type, ...keyHeaders() };
  let reply: Response;
  try {
    const signal = method === 'GET' ? AbortSignal.timeout(READ_TIMEOUT_MS) : null;
    reply = await fetch(address, { method, headers, signal, ...json });
  } catch {
    throw new ApiError(0, 'the server does not answer');
  }
  const answer: unknown = await reply.json().catch(() => undefined);
  if (reply.ok) return answer as T;
  const { error } = (answer ?? {}) as { readonly error?: { readonly message?: string } };
  throw new ApiError(reply.status, error?.message ?? `the server answered ${reply.status}`);
}

const part = encodeURIComponent;
/** A model's id may contain slashes; they stay slashes in its address. */
const modelPath = (id: string) => id.split('/').map(part).join('/');

export const api = {
  changeJob: (id: string, how: 'cancel' | 'retry') =>
    ask<Job>('POST', `v1/jobs/${part(id)}/${how}`),
  readings: (since: string) => ask<Readings>('GET', `v1/memory/readings?since=${part(since)}`),
  processes: () => ask<ProcessReadings>('GET', 'v1/memory/processes'),
  session: (id: string) => ask<SessionView>('GET', `v1/sessions/${part(id)}`),
  endSession: (id: string) => ask<SessionView>('POST', `v1/sessions/${part(id)}/end`),
  model: (id: string) => ask<ModelDetail>('GET', `v1/models/${modelPath(id)}`),
  loadModel: (id: string) => ask<ModelView>('POST', `v1/models/${modelPath(id)}/load`),
  unloadModel: (id: string) => ask<ModelView>('POST', `v1/models/${modelPath(id)}/unload`),
  recycleWorker: (id: string) => ask<Receipt>('POST', `v1/workers/${part(id)}/recycle`),
  recycleAll: () => ask<Receipt>('POST', 'v1/memory/recycle'),
  cleanUp: () => ask<Receipt>('POST', 'v1/memory/cleanup'),
  classify: (request: ClassifyRequest) => ask<Answer>('POST', 'v1/classify', request),
  zeroShot: (request: ZeroShotRequest) =>
    ask<ZeroShotAnswer>('POST', 'v1/zero-shot-classification', request),
  rerank: (request: RerankRequest) => ask<RerankAnswer>('POST', 'v1/reranking', request),
  tokens: (request: TokenClassificationRequest) =>
    ask<TokenClassificationAnswer>('POST', 'v1/token-classification', request),
  pull: (model: string) => ask<Pull>('POST', 'v1/models/pull', { model }),
  cancelPull: (id: string) => ask<Pull>('DELETE', `v1/pulls/${part(id)}`),
  startProof: () => ask<ProofStarted>('POST', 'v1/proofs', { profile: 'reference' }),

  async sessions(limit: number): Promise<readonly SessionView[]> {
    return (await ask<Sessions>('GET', `v1/sessions?limit=${limit}`)).sessions;
  },

  async receipts(query: Readonly<Record<string, string>>): Promise<readonly Receipt[]> {
    const address = `v1/receipts?${new URLSearchParams(query)}`;
    return (await ask<Receipts>('GET', address)).receipts;
  },

  async loads(since: string, limit: string): Promise<readonly PastEvent[]> {
    const query = new URLSearchParams({ kind: 'model_loaded', since, limit });
    return (await ask<PastEvents>('GET', `v1/events/past?${query}`)).events;
  },

  /** Undefined if the server offers no proofs. */
  async proofs(): Promise<readonly Proof[] | undefined> {
    try {
      return (await ask<Proofs>('GET', 'v1/proofs')).proofs;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  },
};
