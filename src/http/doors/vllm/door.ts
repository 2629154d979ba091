import {
  vllmClassifyReplySchema,
  vllmClassifySchema,
  vllmErrorSchema,
  vllmRerankReplySchema,
  vllmRerankSchema,
  vllmScoreReplySchema,
  vllmScoreSchema,
} from '../../../contract/doors/vllm.js';
import { addRoute } from '../../route.js';
import { sharedRoute } from '../../shared-addresses.js';
import type { Door } from '../door.js';
import { VllmAnswers } from './answers.js';
import { vllmErrors } from './errors.js';

const tag = 'vLLM and Cohere';
const common = { tag, errors: vllmErrorSchema } as const;
const rerank = {
  method: 'POST',
  scope: 'classify',
  summary: 'Rank documents by a query',
  body: vllmRerankSchema,
  replies: { 200: vllmRerankReplySchema },
} as const;

/** vLLM's classifying, scoring and reranking, which is Cohere's and Jina's shape of it too. */
export const vllm: Door = {
  name: 'vllm',
  errors: vllmErrors,
  prefixes: ['/v2/rerank', '/v1/rerank', '/score', '/classify'],
  open: (app, services, calls) => {
    const answers = new VllmAnswers(services, calls);
    addRoute(app, {
      ...common,
      method: 'POST',
      url: '/classify',
      scope: 'classify',
      summary: 'Probabilities of every label',
      body: vllmClassifySchema,
      replies: { 200: vllmClassifyReplySchema },
      handle: (request, reply) => answers.classify(request.body, request, reply),
    });
    addRoute(app, {
      ...common,
      method: 'POST',
      url: '/score',
      scope: 'classify',
      summary: 'Score pairs of texts',
      body: vllmScoreSchema,
      replies: { 200: vllmScoreReplySchema },
      handle: (request, reply) => answers.score(request.body, request, reply),
    });
    for (const url of ['/v1/rerank', '/v2/rerank']) {
      addRoute(app, {
        ...common,
        ...rerank,
        url,
        handle: (request, reply) => answers.rerank(request.body, request, reply),
      });
    }
  },
  shared: (services, calls) => {
    const answers = new VllmAnswers(services, calls);
    const route = sharedRoute(
      {
        ...rerank,
        tag,
        url: '/rerank',
        handle: (request, reply) => answers.rerank(request.body, request, reply),
      },
      'documents',
    );
    return [route];
  },
};
