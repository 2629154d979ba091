import type { FastifyInstance } from 'fastify';
import {
  PROOF_PROFILES,
  proofPathSchema,
  proofStartedSchema,
  proofsSchema,
  startProofSchema,
} from '../../../contract/proofs.js';
import { text } from '../../../contract/schema/schema.js';
import { addRoute } from '../../route.js';
import type { HttpServices } from '../../services.js';

const tag = 'proofs';

/** The report is one file that brings its styles and loads nothing. */
const REPORT_SECURITY_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/** `/v1/proofs` */
export function proofRoutes(app: FastifyInstance, { proofs }: HttpServices): void {
  addRoute(app, {
    method: 'POST',
    url: '/v1/proofs',
    scope: 'manage',
    summary: 'Start a proof of this server: a load test that judges it; one at a time',
    tag,
    body: startProofSchema,
    replies: { 202: proofStartedSchema },
    handle: async ({ body }, reply) => {
      reply.code(202);
      return proofs.run(body?.profile ?? PROOF_PROFILES[0]);
    },
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/proofs',
    scope: 'read',
    summary: 'Proofs of this server, the newest first',
    tag,
    replies: { 200: proofsSchema },
    handle: async () => ({ proofs: proofs.list() }),
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/proofs/:id/report',
    scope: 'read',
    summary: 'The report of a proof, as a page',
    tag,
    path: proofPathSchema,
    produces: 'text/html',
    replies: { 200: text() },
    handle: async ({ params }, reply) => {
      const page = await proofs.report(params.id);
      return reply
        .header('content-security-policy', REPORT_SECURITY_POLICY)
        .type('text/html; charset=utf-8')
        .send(page);
    },
  });
}
