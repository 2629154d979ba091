import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { MappedSession } from '../../../../src/models/run/onnx-session.js';
import { scoresOf } from '../../../../src/models/run/scores.js';
import { temporaryFolder, write } from '../folders.js';
import { type Served, served } from '../served.js';
import { type GraphForm, tinyGraph } from '../tiny-graph.js';

const CONTROL = fileURLToPath(new URL('../../../fixtures/models/control', import.meta.url));
const TEXTS = ['hello', 'this film was good', 'The world of it and you (love) it'];

/** A model of that graph as it is served, and as its own graph answers. */
async function make(graph: GraphForm): Promise<{ model: Served; original: MappedSession }> {
  const root = temporaryFolder();
  const folder = path.join(root, 'model');
  const file = path.join(folder, 'model.onnx');
  mkdirSync(folder);
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
    copyFileSync(path.join(CONTROL, name), path.join(folder, name));
  }
  const architectures = ['BertForSequenceClassification'];
  write(folder, { 'config.json': { architectures, model_type: 'bert', pad_token_id: 0 } });
  writeFileSync(file, tinyGraph(graph));
  const model = await served(root, 'model', temporaryFolder());
  return { model, original: await MappedSession.openOriginal(file) };
}

const optimisationOf = ({ findings }: Served) =>
  findings.decisions.find(({ about }) => about === 'optimisation');

test('a graph that fused operators would give something else is served without them', async () => {
  const { model, original } = await make({ sensitive: true });
  expect(optimisationOf(model)).toMatchObject({
    value: 'without fused operators',
    from: expect.stringMatching(/^measured: with fused operators logits differ by \d/),
  });
  for (const text of TEXTS) {
    const { plan } = model.findings;
    const logits = await original.run([model.encoder.encode(text)], plan);
    const [right = []] = scoresOf(logits, plan.labelCount, 'softmax');
    const [answer = {}] = await model.ask([text]);
    expect(Object.values(answer)).toEqual([...right]);
  }
  await original.release();
  await model.release();
});

test('any other is optimised in full, and nothing is said of it', async () => {
  const { model, original } = await make({});
  expect(optimisationOf(model)).toBeUndefined();
  await original.release();
  await model.release();
});
