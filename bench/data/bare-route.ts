/** The minimum work of a fastify server for a classification: same schemas and parser, a fixed answer. */
import fastify from 'fastify';
import { answerSchema, classifySchema } from '../../src/http/schemas.js';

/** Defaults of the server under test. */
const BODY_LIMIT_BYTES = 4 * 1024 * 1024;
const MAX_INPUTS = 1024;

process.on('message', async (answer: unknown) => {
  const app = fastify({
    bodyLimit: BODY_LIMIT_BYTES,
    ajv: {
      customOptions: { coerceTypes: false, removeAdditional: false, allowUnionTypes: true },
    },
  });
  const schema = { body: classifySchema(MAX_INPUTS), response: { 200: answerSchema } };
  app.post('/v1/classify', { schema }, async () => answer);
  process.send?.(await app.listen({ host: '127.0.0.1', port: 0 }));
});

// It ends with the benchmark, whatever became of that.
process.on('disconnect', () => process.exit(0));
