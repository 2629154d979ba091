import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { MappedForms, runtimeKey } from '../../../../src/models/compile/mapped-form.js';
import type { Model } from '../../../../src/models/intake/repository.js';
import { aModel, plainFindings } from '../described.js';
import { temporaryFolder, write } from '../folders.js';

const DIGEST = 'd'.repeat(64);
/** More than any system gives out (pid_max is at most 2^22). */
const NOBODY = 2 ** 22 + 1;

const WRITTEN = { digest: DIGEST, findings: plainFindings() };

function model(changes: Partial<Model> = {}): Model {
  const facts = { directory: '/models/org/name', signature: 'signature-1', sourceBytes: 500 };
  return aModel('org/name', { ...facts, ...changes });
}

function newForms(data = temporaryFolder(), runtime = 'runtime-1'): MappedForms {
  return new MappedForms(data, runtime);
}

/** What a preparer writes, in a folder of its own. */
function writePartial(forms: MappedForms, of: Model, name?: string): string {
  const partial =
    name === undefined ? forms.partialFolderOf(of) : path.join(forms.folderOf(of), name);
  write(partial, { 'model.onnx': 'graph', 'weights.bin': 'weights' });
  return partial;
}

describe('publishing', () => {
  test('puts the form into place, whole, where it is found again, also by the next server', async () => {
    const data = temporaryFolder();
    const forms = newForms(data);
    expect(await forms.current(model())).toBeUndefined();
    const partial = writePartial(forms, model());
    const form = await forms.publish(model(), partial, WRITTEN);
    expect(existsSync(partial)).toBe(false);
    expect(form.digest).toBe(DIGEST);
    expect(existsSync(form.graphFile)).toBe(true);
    expect(form.footprint).toEqual({ sourceBytes: 500, mappedBytes: 12, prepackedBytes: 0 });
    expect(await newForms(data).current(model())).toEqual(form);
  });

  test('a form is for this state of the files and this runtime only', async () => {
    const data = temporaryFolder();
    const forms = newForms(data);
    await forms.publish(model(), writePartial(forms, model()), WRITTEN);
    expect(await forms.current(model({ signature: 'signature-2' }))).toBeUndefined();
    expect(await forms.current(model({ id: 'other' }))).toBeUndefined();
    expect(await newForms(data, 'runtime-2').current(model())).toBeUndefined();
  });

  test('a form of other weights of the model has a place of its own', async () => {
    const forms = newForms();
    const q8 = model({ dtype: 'q8', graphFile: 'onnx/model_quantized.onnx', signature: 'q8' });
    const form = await forms.publish(model(), writePartial(forms, model()), WRITTEN);
    const other = await forms.publish(q8, writePartial(forms, q8), WRITTEN);
    expect(other.directory).not.toBe(form.directory);
    expect(await forms.current(model())).toEqual(form);
    expect(await forms.current(q8)).toEqual(other);
  });

  test('removes the older forms of the model, and of no other', async () => {
    const forms = newForms();
    const old = await forms.publish(model(), writePartial(forms, model()), WRITTEN);
    const other = model({ id: 'other' });
    const kept = await forms.publish(other, writePartial(forms, other), WRITTEN);
    const changed = model({ signature: 'signature-2' });
    const fresh = await forms.publish(changed, writePartial(forms, changed), {
      ...WRITTEN,
      digest: 'e'.repeat(64),
    });
    expect(existsSync(old.directory)).toBe(false);
    expect(existsSync(kept.directory)).toBe(true);
    expect(readdirSync(forms.folderOf(model()))).toEqual([path.basename(fresh.directory)]);
  });

  test('twice at once leaves one form, whole', async () => {
    const data = temporaryFolder();
    const servers = [newForms(data), newForms(data), newForms(data)];
    const published = await Promise.all(
      servers.map((forms, index) =>
        forms.publish(
          model(),
          writePartial(forms, model(), `.partial-${process.pid}-${index}`),
          WRITTEN,
        ),
      ),
    );
    const [first] = published;
    for (const form of published) expect(form).toEqual(first);
    expect(readdirSync(newForms(data).folderOf(model()))).toHaveLength(1);
    expect(await newForms(data).current(model())).toEqual(first);
  });

  test('replaces a form whose manifest is broken', async () => {
    const forms = newForms();
    const form = await forms.publish(model(), writePartial(forms, model()), WRITTEN);
    for (const broken of [
      '',
      '{',
      '[]',
      '{"formatVersion": 1}',
      '{"formatVersion":"1","digest":1}',
    ]) {
      writeFileSync(path.join(form.directory, 'manifest.json'), broken);
      expect(await forms.current(model()), broken).toBeUndefined();
    }
    const again = await forms.publish(model(), writePartial(forms, model()), WRITTEN);
    expect(again.directory).toBe(form.directory);
    expect(await forms.current(model())).toEqual(again);
  });

  test('a partial form is never taken for a whole one, even with a manifest', async () => {
    const forms = newForms();
    const form = await forms.publish(model(), writePartial(forms, model()), WRITTEN);
    const manifest = {
      formatVersion: 1,
      digest: DIGEST,
      signature: 'signature-1',
      runtime: 'runtime-1',
    };
    rmSync(form.directory, { recursive: true });
    write(writePartial(forms, model()), { 'manifest.json': manifest });
    expect(await forms.current(model())).toBeUndefined();
  });
});

describe('the footprint', () => {
  test('tells the weights in the layout of the kernels from the others', async () => {
    const forms = newForms();
    // As ONNX Runtime notes them in the graph, with what stands before and after.
    const graph =
      'prepacked_0\u0012\u002d-MatMul+6709067513041045288|4096;5;0p\u0001B,' +
      'prepacked_1\u0012-MatMul+12|8192;1;0|8193;2;0p\u0001 a|1;1000 b';
    const partial = forms.partialFolderOf(model());
    write(partial, { 'model.onnx': graph, 'weights.bin': 'weights and more' });
    const { footprint } = await forms.publish(model(), partial, WRITTEN);
    expect(footprint.prepackedBytes).toBe(8);
    expect(footprint.mappedBytes).toBe(graph.length + 'weights and more'.length - 8);
  });

  test('is kept beside the form, and read again', async () => {
    const data = temporaryFolder();
    const forms = newForms(data);
    const form = await forms.publish(model(), writePartial(forms, model()), WRITTEN);
    const saved = await forms.saveFootprint(form, { ...form.footprint, loadMs: 12, peakBytes: 99 });
    expect(saved.footprint).toEqual({
      sourceBytes: 500,
      mappedBytes: 12,
      prepackedBytes: 0,
      loadMs: 12,
      peakBytes: 99,
    });
    expect(await newForms(data).current(model())).toEqual(saved);
    expect(readdirSync(form.directory).sort()).toEqual([
      'findings.json',
      'footprint.json',
      'manifest.json',
      'model.onnx',
      'weights.bin',
    ]);
  });

  test('that is broken costs the figures, not the form', async () => {
    const forms = newForms();
    const form = await forms.publish(model(), writePartial(forms, model()), WRITTEN);
    writeFileSync(path.join(form.directory, 'footprint.json'), '{"loadMs": ');
    expect(await forms.current(model())).toEqual(form);
  });
});

describe('leftovers', () => {
  test('of processes that are gone are removed, whole forms and those of living ones stay', async () => {
    const forms = newForms();
    const form = await forms.publish(model(), writePartial(forms, model()), WRITTEN);
    const dead = writePartial(forms, model(), `.partial-${NOBODY}-x`);
    const odd = writePartial(forms, model(), '.partial-');
    const living = writePartial(forms, model(), `.partial-${process.ppid}-x`);
    await forms.removeLeftovers();
    expect([dead, odd].filter(existsSync)).toEqual([]);
    expect([form.directory, living].every(existsSync)).toBe(true);
  });

  test('of an earlier server that had our process id are removed: in a container it always has', async () => {
    const forms = newForms();
    const old = writePartial(forms, model(), `.partial-${process.pid}-x`);
    await forms.removeLeftovers();
    expect(existsSync(old)).toBe(false);
  });

  test('where nothing was ever prepared there are none', async () => {
    await newForms(path.join(temporaryFolder(), 'missing')).removeLeftovers();
  });
});

test('the runtime key names the version and the CPU, and stays the same', async () => {
  const key = await runtimeKey();
  expect(key).toMatch(/^onnxruntime \d+\.\d+\.\d+; \w+; .+; .+/);
  expect(await runtimeKey()).toBe(key);
});
