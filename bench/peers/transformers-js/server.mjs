// A classification server as it is usually written in Node.js: one process, one pipeline, one route.
// Arguments: folder of the models, name of the model.
import { env, pipeline } from '@huggingface/transformers';
import Fastify from 'fastify';

const [models, model] = process.argv.slice(2);
env.allowRemoteModels = false;
env.localModelPath = models;

const classify = await pipeline('text-classification', model, { dtype: 'fp32' });
const app = Fastify();

app.post('/v1/classify', async (request) => {
  const results = await classify(request.body.inputs, { top_k: null });
  return { model, results: typeof request.body.inputs === 'string' ? [results] : results };
});

const address = await app.listen({ host: '127.0.0.1', port: 0 });
console.log(JSON.stringify({ address }));
