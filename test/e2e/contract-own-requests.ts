/** What the test of the contract asks of Plimsoll's own routes. */
import type { Call } from './harness.js';

/** A text with names that the model of the fixtures finds. */
export const NAMES = 'Angela Merkel visited Paris';

/** One request and the status that it must get. */
export interface Asked extends Call {
  readonly status: number;
  /** What stands in the address for `{id}`, `{name}` or `{model_and_action}`. */
  readonly id?: string;
  readonly query?: string;
}

/** What the server knows when it is asked. */
export interface Known {
  readonly open: string;
  readonly ended: string;
  readonly worker: string;
  readonly proof: string;
  readonly pull: string;
  readonly job: string;
}

/** Requests of routes by their names, and in the order in which they are asked. */
export type Requests = Readonly<Record<string, (known: Known) => readonly Asked[]>>;

export const OK: Asked = { status: 200 };
export const NOBODY: Asked = { status: 404, id: 'nobody' };
export const json = (status: number, body: unknown): Asked => ({ status, body });
const query = (status: number, text: string): Asked => ({ status, query: text });

/** Requests of Plimsoll's own routes. A new route without a line here, or among the other protocols', fails the test. */
export const OWN_REQUESTS: Requests = {
  'POST /v1/classify': ({ open, ended }) => [
    json(200, { inputs: 'Claim your prize now' }),
    json(200, { inputs: ['Claim your prize now', 'see you at noon'], model: 'spam', top_k: 1 }),
    json(200, { inputs: 'hello', session: open, user: 'ann' }),
    json(400, {}),
    json(422, { inputs: '' }),
    { status: 400, raw: '{' },
    json(404, { inputs: 'a', model: 'nobody' }),
    json(404, { inputs: 'a', session: 'nobody' }),
    json(409, { inputs: 'a', session: ended }),
    { status: 413, raw: `"${'a'.repeat(70_000)}"` },
    { status: 415, raw: 'a', headers: { 'content-type': 'text/plain' } },
  ],
  'POST /v1/zero-shot-classification': () => [
    json(200, { model: 'nli', inputs: ['a trip', 'a meal'], candidate_labels: ['b', 'c'] }),
    json(200, { model: 'nli', inputs: 'a', candidate_labels: ['b'], multi_label: true }),
    json(400, {}),
    json(422, { inputs: 'a', candidate_labels: ['b'] }),
  ],
  'POST /v1/reranking': () => [
    json(200, { model: 'reranker', query: 'When?', documents: ['At noon', 'Soup'], top_k: 2 }),
    json(400, {}),
    json(422, { query: 'a', documents: ['b'] }),
  ],
  'POST /v1/token-classification': () => [
    json(200, { model: 'ner', inputs: [NAMES] }),
    json(200, { model: 'ner', inputs: NAMES, aggregation_strategy: 'simple', stride: 2 }),
    json(400, {}),
    json(422, { inputs: 'a' }),
  ],
  'POST /v1/sessions': () => [json(201, { max_users: 3 }), json(400, { max_users: 0 })],
  'GET /v1/sessions': () => [OK, query(200, 'limit=1'), query(400, 'limit=0')],
  'GET /v1/sessions/{id}': ({ open, ended }) => [
    { status: 200, id: open },
    { status: 200, id: ended },
    { status: 400, id: 's'.repeat(101) },
    NOBODY,
  ],
  'POST /v1/sessions/{id}/end': ({ open }) => [{ status: 200, id: open }, NOBODY],
  'GET /v1/sessions/{id}/users': ({ open }) => [{ status: 200, id: open }, NOBODY],
  'GET /v1/receipts': ({ ended }) => [
    query(200, `kind=cleanup&session=${ended}`),
    query(200, 'kind=unload'),
    query(400, 'since=yesterday'),
  ],
  'GET /v1/records': () => [OK, query(200, 'user=ann&limit=1'), query(400, 'colour=red')],
  'GET /v1/events/past': () => [OK, query(400, 'until=tomorrow')],
  'GET /v1/memory': () => [OK],
  'GET /v1/memory/readings': () => [OK, query(400, 'since=5')],
  'GET /v1/memory/processes': () => [OK, query(400, 'since=5')],
  'POST /v1/memory/cleanup': () => [OK],
  'POST /v1/memory/recycle': () => [OK],
  'GET /v1/models': () => [OK],
  'GET /v1/models/{id}': () => [{ status: 200, id: 'spam' }, NOBODY],
  'POST /v1/models/pull': () => [
    json(202, { model: 'org/name' }),
    json(400, { model: '../x' }),
    json(400, {}),
    json(409, { model: 'spam' }),
  ],
  'GET /v1/pulls': () => [OK],
  'GET /v1/pulls/{id}': ({ pull }) => [{ status: 200, id: pull }, NOBODY],
  'DELETE /v1/pulls/{id}': ({ pull }) => [{ status: 200, id: pull }, NOBODY],
  'POST /v1/tokenize': () => [
    { status: 200, body: { model: 'spam', inputs: ['a text', 'and another'] } },
    { status: 404, body: { model: 'nobody', inputs: 'a text' } },
    { status: 400, body: { model: 'spam' } },
  ],
  'POST /v1/models/{id}/load': () => [{ status: 200, id: 'spam' }, NOBODY],
  'POST /v1/models/{id}/unload': () => [{ status: 200, id: 'spam' }, NOBODY],
  'GET /v1/pools': () => [OK],
  'GET /v1/fleet': () => [OK],
  'GET /v1/config': () => [OK],
  'GET /v1/workers': () => [OK],
  'POST /v1/workers/{id}/recycle': ({ worker }) => [{ status: 200, id: worker }, NOBODY],
  // Read in a test of its own: it never ends.
  'GET /v1/events': () => [],
  'POST /v1/jobs': () => [
    json(400, {}),
    json(400, { input: '/etc/hosts', output: '/tmp' }),
    json(404, { input: '/etc/hosts', output: '/tmp', model: 'nobody' }),
  ],
  'GET /v1/jobs': () => [OK, query(200, 'state=done&limit=1'), query(400, 'state=odd')],
  'GET /v1/jobs/{id}': ({ job }) => [{ status: 200, id: job }, NOBODY],
  'GET /v1/jobs/{id}/shards': ({ job }) => [
    { status: 200, id: job },
    { status: 200, id: job, query: 'state=done&from=0' },
    { status: 400, id: job, query: 'from=a' },
    NOBODY,
  ],
  // What it streams is checked where jobs are run.
  'GET /v1/jobs/{id}/events': () => [NOBODY],
  'POST /v1/jobs/{id}/cancel': ({ job }) => [{ status: 409, id: job }, NOBODY],
  'POST /v1/jobs/{id}/retry': ({ job }) => [{ status: 409, id: job }, NOBODY],
  'POST /v1/keys': () => [
    json(201, { name: 'ann', scopes: ['read'], requests_per_second: 5, expires: '90d' }),
    json(400, { name: '' }),
    json(409, { name: 'ann' }),
  ],
  'GET /v1/keys': () => [OK],
  'POST /v1/keys/{name}/rotate': () => [
    { status: 200, id: 'ann' },
    { status: 200, id: 'ann', body: { grace: '1h' } },
    { status: 400, id: 'ann', body: { grace: 'soon' } },
    NOBODY,
  ],
  'DELETE /v1/keys/{name}': () => [{ status: 200, id: 'ann' }, NOBODY],
  'GET /v1/cache': () => [OK],
  'DELETE /v1/cache': () => [query(200, 'tier=memory'), OK, query(400, 'tier=disk')],
  'GET /v1/proofs': () => [OK],
  'POST /v1/proofs': () => [json(400, { profile: 'x' })],
  'GET /v1/proofs/{id}/report': ({ proof }) => [{ status: 200, id: proof }, NOBODY],
  'GET /health/live': () => [OK],
  'GET /health/ready': () => [OK],
  'GET /metrics': () => [OK],
};
