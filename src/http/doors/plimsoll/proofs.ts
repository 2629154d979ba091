import type { FastifyInstance } from 'fastify';
import { commonErrors } from '../../schemas.js';
import { type HttpServices, PROOF_PROFILES, type ProofProfile } from '../../services.js';

const tags = ['proofs'];
const nullableText = { type: ['string', 'null'] } as const;

const proofSchema = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    profile: { type: 'string', enum: PROOF_PROFILES },
    state: {
      type: 'string',
      enum: ['running', 'passed', 'failed', 'broken'],
      description: 'passed or failed: its verdict; broken: it ended without one.',
    },
    started_at: { type: 'string' },
    ended_at: nullableText,
    sessions_done: { type: 'integer' },
    sessions_total: { type: 'integer', description: '0 until the proof has begun.' },
    because: { ...nullableText, description: 'Why it did not pass, in one line.' },
    report_url: { ...nullableText, description: 'Once there is a report.' },
  },
} as const;

/** The report is one file that brings its styles and loads nothing. */
const REPORT_SECURITY_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/** `/v1/proofs` */
export function proofRoutes(app: FastifyInstance, { proofs }: HttpServices): void {
  app.post<{ Body: { readonly profile?: ProofProfile } | undefined }>(
    '/v1/proofs',
    {
      schema: {
        summary: 'Start a proof of this server: a load test that judges it; one at a time',
        tags,
        body: {
          type: ['object', 'null'],
          properties: {
            profile: { type: 'string', enum: PROOF_PROFILES, default: PROOF_PROFILES[0] },
          },
          additionalProperties: false,
        },
        response: {
          202: {
            type: 'object',
            properties: { id: proofSchema.properties.id, state: proofSchema.properties.state },
          },
          ...commonErrors,
        },
      },
    },
    async ({ body }, reply) => {
      const { id, state } = await proofs.run(body?.profile ?? PROOF_PROFILES[0]);
      return reply.code(202).send({ id, state });
    },
  );

  app.get(
    '/v1/proofs',
    {
      schema: {
        summary: 'Proofs of this server, the newest first',
        tags,
        response: {
          200: { type: 'object', properties: { proofs: { type: 'array', items: proofSchema } } },
          ...commonErrors,
        },
      },
    },
    async () => ({ proofs: proofs.list() }),
  );

  app.get<{ Params: { readonly id: string } }>(
    '/v1/proofs/:id/report',
    {
      schema: {
        summary: 'The report of a proof, as a page',
        tags,
        params: { type: 'object', properties: { id: { type: 'string', maxLength: 100 } } },
        produces: ['text/html'],
        response: { 200: { type: 'string' }, ...commonErrors },
      },
    },
    async ({ params }, reply) => {
      const page = await proofs.report(params.id);
      return reply
        .header('content-security-policy', REPORT_SECURITY_POLICY)
        .type('text/html; charset=utf-8')
        .send(page);
    },
  );
}
