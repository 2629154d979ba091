import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import {
  teiErrorSchema,
  teiInfoSchema,
  teiPredictReplySchema,
  teiPredictSchema,
  teiRanksSchema,
  teiRerankSchema,
  teiTokenizeSchema,
  teiTokensSchema,
} from '../../../contract/doors/tei.js';
import { object, type Schema, text } from '../../../contract/schema/schema.js';
import { addRoute } from '../../route.js';
import { sharedRoute } from '../../shared-addresses.js';
import type { Door } from '../door.js';
import { TeiAnswers } from './answers.js';
import { teiErrors } from './errors.js';

const tag = 'TEI';
const common = { tag, errors: teiErrorSchema } as const;
const noBody: Schema<unknown> = { description: 'Empty.' };

/**
 * text-embeddings-inference: at the root and below `/tei` for the default model, and below `/tei/{id}` for any other,
 * as its clients know an address but no names of models.
 */
export const tei: Door = {
  name: 'tei',
  errors: teiErrors,
  prefixes: ['/tei'],
  open: (app, services, calls) => {
    const answers = new TeiAnswers(services, calls);
    for (const base of ['', '/tei', '/tei/:model', '/tei/:org/:model']) routes(app, base, answers);
  },
  shared: (services, calls) => {
    const answers = new TeiAnswers(services, calls);
    const route = sharedRoute(
      {
        method: 'POST',
        url: '/rerank',
        scope: 'classify',
        summary: 'Rank texts by a query',
        tag,
        body: teiRerankSchema,
        replies: { 200: teiRanksSchema },
        handle: (request, reply) => answers.rerank(undefined, request.body, request, reply),
      },
      'texts',
    );
    return [route];
  },
};
