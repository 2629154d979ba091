import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { expect, onTestFinished, test } from 'vitest';
import { compileSafetensors } from '../../../../../src/models/compile/compile-safetensors.js';
import { alignWeights } from '../../../../../src/models/compile/mend/aligned-weights.js';
import { writeMappedGraph } from '../../../../../src/models/run/onnx-session.js';
import { temporaryFolder } from '../../folders.js';
import { encode, randomTensors, writeFolder } from '../checkpoints.js';
import { distance, openRaw, openWritten, type Row, run } from '../graphs.js';

const PAD = 1;
/** Its table of relative positions has an odd size: 2 × 137 - 1 numbers of 8 bytes. */
const CONFIG = {
  model_type: 'mpnet',
  architectures: ['MPNetForSequenceClassification'],
  hidden_size: 64,
  num_attention_heads: 4,
  num_hidden_layers: 3,
  intermediate_size: 128,
  vocab_size: 100,
  max_position_embeddings: 139,
  pad_token_id: PAD,
  num_labels: 3,
};

const rows: readonly Row[] = [{ ids: [5, 6, 7, 8] }, { ids: [9, 10, 11, 12, 13, 14, 15] }];

/** Offsets of all that lies in the weights' file, as the graph names them. */
async function offsetsIn(graphFile: string): Promise<readonly number[]> {
  const text = await readFile(graphFile, 'latin1');
  return [...text.matchAll(/\|(\d+);\d+;/g)].map(([, offset]) => Number(offset));
}

async function openPrepacked(file: string): Promise<InferenceSession> {
  const session = await InferenceSession.create(file, {
    logSeverityLevel: 3,
    intraOpNumThreads: 1,
    graphOptimizationLevel: 'disabled',
  });
  onTestFinished(() => session.release());
  return session;
}

test('weights behind a tensor of odd size are moved to aligned places, and say the same', async () => {
  const folder = writeFolder(path.join(temporaryFolder(), 'model'), CONFIG, {
    'model.safetensors': encode(randomTensors(CONFIG, 7)),
  });
  const work = path.join(temporaryFolder(), 'work');
  const raw = await compileSafetensors(folder, work);
  const file = path.join(work, 'model.onnx');
  await writeMappedGraph(raw.graphFile, file, 'weights.bin', raw.dataFolder);
  const odd = (await offsetsIn(file)).filter((offset) => offset % 64 !== 0);
  expect(odd.length, 'prepacked weights at odd places').toBeGreaterThan(0);

  expect(await alignWeights(file, 'weights.bin')).toBe(true);
  const places = await offsetsIn(file);
  expect(places.length).toBeGreaterThan(3);
  expect(places.filter((offset) => offset % 64 !== 0)).toEqual([]);
  const expected = await run(await openRaw(raw), rows, PAD);
  expect(distance(await run(await openWritten(file), rows, PAD), expected)).toBeLessThan(1e-4);
  // With its prepacked weights at odd places, this ended the process.
  expect(distance(await run(await openPrepacked(file), rows, PAD), expected)).toBeLessThan(1e-4);
  expect(await alignWeights(file, 'weights.bin'), 'a second time').toBe(false);
});
