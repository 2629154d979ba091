/** What the test of the contract asks of the routes of other protocols. */
import { type Asked, json, NAMES, NOBODY, OK, type Requests } from './contract-own-requests.js';

const PRIZE = 'Claim your prize now';
const NOT_JSON: Asked = { status: 400, raw: '{' };
const labels = { candidate_labels: ['travel', 'cooking'] };

/** The same requests below the address of a model. */
const of = (id: string, ...all: readonly Asked[]) => all.map((asked) => ({ ...asked, id }));

const huggingFace = () => [
  ...of('spam', json(200, { inputs: PRIZE, parameters: { top_k: 1 } })),
  ...of('spam', json(200, { inputs: [PRIZE, 'see you at noon'], parameters: null })),
  ...of('org/pairs', json(200, { inputs: { text: 'a', text_pair: 'b' } })),
  ...of('nli', json(200, { inputs: 'a trip', parameters: labels })),
  ...of('nli', json(200, { inputs: ['a trip', 'a meal'], parameters: labels })),
  ...of('ner', json(200, { inputs: NAMES })),
  ...of('ner', json(200, { inputs: [NAMES], parameters: { aggregation_strategy: 'none' } })),
  ...of('spam', json(422, { inputs: '' }), json(400, {}), NOT_JSON),
  ...of('spam', json(400, { inputs: 'a', parameters: { stride: 1 } })),
  { ...json(404, { inputs: 'a' }), id: 'nobody' },
];

const predict = [
  json(200, { inputs: PRIZE }),
  json(200, { inputs: [[PRIZE], ['see', 'you']], raw_scores: true, truncate: true }),
  json(400, { inputs: [] }),
  json(422, { inputs: 'a', truncate: 'x' }),
  json(422, { inputs: 'word '.repeat(4000), truncate: false }),
];
const tokenize = [json(200, { inputs: ['a text', 'häuser'] }), json(400, { inputs: [] })];
const ranked = { query: 'When?', texts: ['At noon', 'Soup'] };

const vllmRanked = { model: 'reranker', query: 'When?', documents: ['At noon', { text: 'Soup' }] };
const vllmRerank = () => [
  json(200, { ...vllmRanked, top_n: 1 }),
  json(200, { ...vllmRanked, return_documents: false }),
  json(404, { ...vllmRanked, model: 'nobody' }),
  json(400, { ...vllmRanked, query: 5 }),
];

const moderations = () => [
  json(200, { model: 'spam', input: [PRIZE, 'see you at noon'] }),
  json(200, { input: [{ type: 'text', text: PRIZE }] }),
  json(400, {}),
  json(400, { model: 'nli', input: 'a' }),
  json(404, { model: 'nobody', input: 'a' }),
];

const text = { name: 'text', datatype: 'BYTES', shape: [1], data: [PRIZE] };
const ids = { name: 'input_ids', datatype: 'INT64', shape: [1, 3], data: [[2, 5, 3]] };

/** One text as bytes behind the JSON, its length before it. */
function inBytes(words: string): Asked {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(words.length);
  const parameters = { binary_data_size: length.length + words.length };
  const head = Buffer.from(JSON.stringify({ inputs: [{ ...text, data: undefined, parameters }] }));
  const headers = {
    'content-type': 'application/octet-stream',
    'inference-header-content-length': head.length,
  };
  return { status: 200, raw: Buffer.concat([head, length, Buffer.from(words)]), headers };
}

export const DOOR_REQUESTS: Requests = {
  'POST /models/{id}': huggingFace,
  'POST /hf/{id}': huggingFace,
  'POST /': () => [json(200, { inputs: PRIZE }), json(422, { inputs: '' }), NOT_JSON],

  'POST /predict': () => predict,
  'POST /tei/predict': () => predict,
  'POST /tokenize': () => tokenize,
  'POST /tei/tokenize': () => tokenize,
  'GET /info': () => [OK],
  'GET /tei/info': () => [OK],
  'GET /health': () => [OK],
  'GET /tei/health': () => [OK],
  // The default model ranks nothing: that of another server does, in a test of its own.
  'POST /tei/rerank': () => [json(424, ranked), json(400, { ...ranked, texts: [] })],
  'POST /tei/{model_and_action}': () => [
    ...of('spam/predict', ...predict),
    ...of('org/pairs/predict', json(200, { inputs: ['a', 'b'] })),
    ...of('spam/tokenize', ...tokenize),
    ...of('reranker/rerank', json(200, ranked), json(200, { ...ranked, return_text: true })),
    ...of('reranker/rerank', json(422, { query: 'When?' }), NOT_JSON),
    ...of('ner/predict', json(424, { inputs: 'a' })),
    ...of('nobody/predict', json(404, { inputs: 'a' })),
    ...of('spam/elsewhere', json(404, { inputs: 'a' })),
  ],
  'GET /tei/{model_and_action}': () => [
    ...of('reranker/info', OK),
    ...of('org/pairs/info', OK),
    ...of('spam/health', OK),
    ...of('nobody/info', { status: 404 }),
    ...of('nobody/health', { status: 404 }),
  ],

  'POST /classify': () => [
    json(200, { model: 'spam', input: [PRIZE, 'see you at noon'] }),
    json(200, { input: PRIZE, activation: false }),
    json(404, { model: 'nobody', input: 'a' }),
    json(400, {}),
  ],
  'POST /score': () => [
    json(200, { model: 'reranker', text_1: 'When?', text_2: ['At noon', 'Soup'] }),
    json(400, { model: 'reranker', text_1: ['a', 'b'], text_2: ['c'] }),
  ],
  'POST /v1/rerank': vllmRerank,
  'POST /v2/rerank': vllmRerank,
  'POST /rerank': () => [...vllmRerank(), json(424, ranked), json(422, { ...ranked, query: 5 })],

  'POST /v1/moderations': moderations,
  'POST /openai/v1/moderations': moderations,
  'GET /openai/v1/models': () => [OK],
  'GET /openai/v1/models/{id}': () => [...of('org/pairs', OK), NOBODY],

  'GET /v2': () => [OK],
  'GET /v2/health/live': () => [OK],
  'GET /v2/health/ready': () => [OK],
  'GET /v2/models/stats': () => [OK],
  'POST /v2/models/{model_and_action}': () => [
    ...of('spam/infer', json(200, { id: 'a1', inputs: [text] })),
    ...of('spam/versions/1/infer', json(200, { inputs: [ids], outputs: null })),
    ...of(
      'spam/infer',
      json(200, {
        inputs: [text],
        outputs: [{ name: 'score', parameters: { classification: 1 } }],
        parameters: { function_to_apply: 'none', priority: 1 },
      }),
      json(200, { inputs: [text], parameters: { binary_data_output: true } }),
      inBytes(PRIZE),
      json(400, {}),
      NOT_JSON,
    ),
    ...of('ner/infer', json(200, { inputs: [{ ...text, data: [NAMES] }] })),
    ...of('ner/infer', json(501, { inputs: [ids] })),
    ...of('nobody/infer', json(404, { inputs: [text] })),
    ...of('spam/elsewhere', json(404, { inputs: [text] })),
    ...of('broken/infer', json(503, { inputs: [text] })),
  ],
  'POST /v2/repository/models/{model_and_action}': () => [
    ...of('spam/load', OK),
    ...of('spam/unload', json(200, { parameters: { unload_dependents: false } })),
    ...of('spam/load', json(501, { parameters: { config: '{}' } })),
    ...of('nobody/load', { status: 404 }),
  ],
  'GET /v2/models/{model_and_action}': () => [
    ...of('spam', OK),
    ...of('spam/versions/1/config', OK),
    ...of('spam/stats', OK),
    ...of('nli/ready', OK),
    // It was unloaded.
    ...of('spam/ready', { status: 503 }),
    ...of('ner', OK),
    ...of('broken', { status: 503 }),
    ...of('broken/ready', { status: 503 }),
    NOBODY,
  ],
  'POST /v2/repository/index': () => [
    OK,
    json(200, { ready: true }),
    json(400, { ready: 5 }),
    NOT_JSON,
  ],
};

/** What a server answers whose only model ranks. */
export const RANKING_REQUESTS: Readonly<Record<string, readonly Asked[]>> = {
  'POST /tei/rerank': [json(200, ranked)],
  'POST /rerank': [json(200, { ...ranked, return_text: true })],
};
