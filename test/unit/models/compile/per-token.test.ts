/** Int8 with scales for each token: as good as the weights allow, and no row depends on another. */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Tokenizer } from '@huggingface/tokenizers';
import { describe, expect, test } from 'vitest';
import { compileSafetensors } from '../../../../src/models/compile/compile-safetensors.js';
import { fieldsOf } from '../../../../src/models/compile/onnx/protobuf-reader.js';
import { integerField, messageField } from '../../../../src/models/compile/onnx/protobuf-writer.js';
import {
  type GraphSource,
  productsOf,
  QUANTISED_GRAPH,
  quantisePerToken,
} from '../../../../src/models/compile/quantise/per-token.js';
import type { PerTokenOptions } from '../../../../src/models/compile/quantise/per-token-graph.js';
import { writeMappedGraph } from '../../../../src/models/run/onnx-session.js';
import { temporaryFolder } from '../folders.js';
import { distance, type Logits, openWritten, type Row, run, runAlone } from './graphs.js';

const FIXTURES = fileURLToPath(new URL('../../../fixtures/', import.meta.url));
const BUNDLED = fileURLToPath(new URL('../../../../models/spam/onnx/model.onnx', import.meta.url));
/** The form of weights that gives the same on every CPU. */
const ANYWHERE: PerTokenOptions = { weights: 'uint8' };

/** The quantised graph of a graph, straight and in the mapped form. */
async function quantised(source: GraphSource, options: PerTokenOptions) {
  const folder = temporaryFolder();
  const written = await quantisePerToken(source, folder, options);
  const graph = path.join(folder, QUANTISED_GRAPH);
  const mapped = path.join(folder, 'model.onnx');
  await writeMappedGraph(graph, mapped, 'weights.bin');
  const sessions = [await openWritten(graph), await openWritten(mapped)];
  return { ...written, graph, sessions };
}

interface Variant {
  readonly rows: readonly Row[];
  readonly logits: readonly (readonly (number | readonly number[])[])[];
}

async function variant(name: string) {
  const folder = path.join(FIXTURES, 'families', name);
  const { rows, logits } = JSON.parse(
    readFileSync(path.join(folder, 'expected.json'), 'utf8'),
  ) as Variant;
  const source = await compileSafetensors(folder, temporaryFolder());
  return { rows, logits: logits.map((row) => row.flat()), source };
}

describe('a compiled graph, quantised', () => {
  test.each([
    'bert-relative-key-query',
    'roberta-types2-pad0',
    'xlmrxl',
    'distil-token-relu',
    'electra-token-rk',
    'albert-groups',
    'mpnet',
    'deberta-bar',
    'modern-biases',
  ])('%s: rows do not see one another, and the logits are near', async (name) => {
    const { rows, logits, source } = await variant(name);
    for (const embeddings of [false, true]) {
      const { sessions, products } = await quantised(source, { ...ANYWHERE, embeddings });
      expect(products.length).toBeGreaterThan(12);
      for (const session of sessions) {
        const alone = await runAlone(session, rows, 0);
        expect(distance(await run(session, rows, 0), alone)).toBe(0);
        const far = distance(alone, logits);
        // These weights are random and the widths tiny: steps of 1/127 do not average out as in real models.
        expect(far).toBeGreaterThan(0);
        expect(far).toBeLessThan(0.35);
      }
    }
  });

  test('products that are kept stay exact', async () => {
    const { rows, logits, source } = await variant('bert-act-mish');
    const all = await productsOf(source.graphFile);
    const names = all.map(({ name }) => name);
    expect(names[0]).toBe('/bert/encoder/layer.0/attention/self/query/MatMul_output_0');
    expect(all.at(-1)).toEqual({ name: '/classifier/MatMul_output_0', from: 24, to: 3 });
    const errors: number[] = [];
    for (const kept of [names, names.slice(4), []]) {
      const { sessions, products } = await quantised(source, { ...ANYWHERE, keep: new Set(kept) });
      expect(products).toHaveLength(all.length - kept.length);
      const [session] = sessions;
      if (session !== undefined) errors.push(distance(await run(session, rows, 0), logits));
    }
    const [none = 1, some = 0, every = 0] = errors;
    expect(none).toBeLessThan(1e-5);
    expect(some).toBeGreaterThan(none);
    expect(every).toBeGreaterThan(none);
  });

  test('weights of seven bits never saturate, and are within twice the error of eight', async () => {
    const { rows, logits, source } = await variant('mpnet');
    const errorOf = async (options: PerTokenOptions) => {
      const { sessions } = await quantised(source, options);
      const [session] = sessions;
      return session === undefined ? Number.NaN : distance(await run(session, rows, 1), logits);
    };
    const [eight, seven] = [await errorOf(ANYWHERE), await errorOf({ weights: 'int7' })];
    expect(seven).toBeLessThan(eight * 2 + 0.05);
  });
});

/** Labels of the rows, by their largest logit. */
function labels(logits: Logits): readonly number[] {
  return logits.map((row) => row.indexOf(Math.max(...row)));
}

describe('an ONNX file, quantised', () => {
  interface Reference {
    readonly texts: readonly string[];
    readonly labels: readonly string[];
  }

  /**
   * In `q8-noise` one channel of the wide layers is a thousand times the others: scales of a token cannot follow it,
   * so that its products have to stay in float32.
   */
  test.each([
    ['q8-fine', 'all products', 0, 0.98, 1],
    ['q8-noise', 'all products', 0, 0, 0.9],
    ['q8-noise', 'those of narrow layers', 32, 0.98, 1],
  ] as const)('%s, %s as integers: labels', async (name, _which, widest, least, most) => {
    const folder = path.join(FIXTURES, 'reference', name);
    const expected = JSON.parse(
      readFileSync(path.join(folder, 'expected.json'), 'utf8'),
    ) as Reference;
    const config = JSON.parse(readFileSync(path.join(folder, 'config.json'), 'utf8')) as {
      readonly id2label: Readonly<Record<string, string>>;
    };
    const read = (file: string): object =>
      JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as object;
    const tokenizer = new Tokenizer(read('tokenizer.json'), read('tokenizer_config.json'));
    const rows: readonly Row[] = expected.texts.map((text) => ({
      ids: tokenizer.encode(text).ids,
    }));
    const dataFolder = path.join(folder, 'onnx');
    const source = { graphFile: path.join(dataFolder, 'model.onnx'), dataFolder };
    const wide = (await productsOf(source.graphFile)).filter(({ from }) => from === widest);
    const keep = new Set(wide.map((product) => product.name));
    expect(keep.size).toBe(wide.length);
    const { sessions } = await quantised(source, { ...ANYWHERE, keep });
    for (const session of sessions) {
      const logits = await run(session, rows, 0);
      const alone = await runAlone(session, rows, 0);
      // The heads of these files are Gemms, which stay in float32: its rounding hangs on the batch.
      expect(distance(logits, alone)).toBeLessThan(1e-5);
      const same = labels(logits).filter(
        (label, at) => config.id2label[label] === expected.labels[at],
      );
      expect(same.length / rows.length).toBeGreaterThanOrEqual(least);
      expect(same.length / rows.length).toBeLessThanOrEqual(most);
    }
  });

  const ROWS: readonly Row[] = [
    { ids: [2, 77, 500, 1200, 3] },
    { ids: Array.from({ length: 60 }, (_, at) => 5 + at * 11) },
  ];

  /** Axes of a reduction are an attribute before opset 18, and an input from then on. */
  test.each([17, 18])('the bundled model, said to have opset %i', async (opset) => {
    const folder = temporaryFolder();
    const graphFile = path.join(folder, 'model.onnx');
    const fields = [...fieldsOf(readFileSync(BUNDLED))];
    const version = messageField(8, [integerField(2, opset)]);
    writeFileSync(
      graphFile,
      Buffer.concat(fields.map(({ number, raw }) => (number === 8 ? version : raw))),
    );
    const exact = await run(await openWritten(BUNDLED), ROWS, 0);
    const options = { ...ANYWHERE, embeddings: true };
    const { sessions, graph, dataBytes } = await quantised(
      { graphFile, dataFolder: folder },
      options,
    );
    expect(statSync(graph).size + dataBytes).toBeLessThan(statSync(BUNDLED).size * 0.35);
    for (const session of sessions) {
      expect(distance(await run(session, ROWS, 0), exact)).toBeLessThan(0.15);
    }
  });

  test('of an older opset is refused', async () => {
    const folder = temporaryFolder();
    const graphFile = path.join(folder, 'model.onnx');
    const fields = [...fieldsOf(readFileSync(BUNDLED))];
    const version = messageField(8, [integerField(2, 9)]);
    writeFileSync(
      graphFile,
      Buffer.concat(fields.map(({ number, raw }) => (number === 8 ? version : raw))),
    );
    mkdirSync(path.join(folder, 'out'));
    const refused = quantisePerToken({ graphFile, dataFolder: folder }, path.join(folder, 'out'));
    await expect(refused).rejects.toThrow('opset 9; opset 11 is needed');
  });
});
