/** A fastify route with the schemas and the parser of a classification, and one fixed answer. */
import fastify from 'fastify';
import { answerSchema, classifyRequestSchema } from '../../src/contract/classify.js';
import { tuneServerProcess } from '../../src/system/process/tuning.js';

/** Defaults of the server under test. */
const BODY_LIMIT_BYTES = 4 * 1024 * 1024;
const MAX_INPUTS = 1024;

// As the server does: the two differ in what they do, not in how Node runs them.
tuneServerProcess();

process.on('message', async (answer: unknown) => {
  const app = fastify({
    bodyLimit: BODY_LIMIT_BYTES,
    ajv: {
      customOptions: { coerceTypes: false, removeAdditional: false, allowUnionTypes: true },
    },
  });
  const schema = { body: classifyRequestSchema(MAX_INPUTS), response: { 200: answerSchema } };
  app.post('/v1/classify', { schema }, async () => answer);
  process.send?.(await app.listen({ host: '127.0.0.1', port: 0 }));
});

// It ends with the benchmark, whatever became of that.
process.on('disconnect', () => process.exit(0));
