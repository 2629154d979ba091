import { createHash } from 'node:crypto';
import { existsSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { FormFile } from '../../../../src/models/compile/forms/checksums.js';
import { MappedForms, runtimeKey } from '../../../../src/models/compile/mapped-form.js';
import type { Model } from '../../../../src/models/intake/repository.js';
import { aModel, plainFindings } from '../described.js';
import { temporaryFolder, write } from '../folders.js';

const DIGEST = 'd'.repeat(64);
const OTHER = 'e'.repeat(64);
const DAY_MS = 86_400_000;

const FILES = { 'model.onnx': 'graph', 'weights.bin': 'weights' };

function described(files: Readonly<Record<string, string>>): readonly FormFile[] {
  return Object.entries(files).map(([name, content]) => {
    const sha256 = createHash('sha256').update(content).digest('hex');
    return { name, bytes: content.length, sha256 };
  });
}

const WRITTEN = { digest: DIGEST, findings: plainFindings(), files: described(FILES) };

/** The form for the files with that digest, if it is whole. */
async function wholeOf(forms: MappedForms, of: Model, digest = DIGEST) {
  const found = await forms.find(of, digest);
  return found.state === 'whole' ? found.form : undefined;
}

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
  write(partial, FILES);
  return partial;
}

describe('publishing', () => {
  test('puts the form into place, whole, where it is found again, also by the next server', async () => {
    const data = temporaryFolder();
    const forms = newForms(data);
    expect(await wholeOf(forms, model())).toBeUndefined();
    const partial = writePartial(forms, model());
    const form = await forms.publish(model(), partial, WRITTEN);
    expect(existsSync(partial)).toBe(false);
    expect(form.digest).toBe(DIGEST);
    expect(existsSync(form.graphFile)).toBe(true);
    expect(form.footprint).toEqual({ sourceBytes: 500, mappedBytes: 12, prepackedBytes: 0 });
    expect(await wholeOf(newForms(data), model())).toEqual(form);
  });

  test('a form is for this state of the files and this runtime only', async () => {
    const data = temporaryFolder();
    const forms = newForms(data);
    await forms.publish(model(), writePartial(forms, model()), WRITTEN);
    expect(await wholeOf(forms, model(), OTHER)).toBeUndefined();
    expect(await wholeOf(forms, model({ id: 'other' }))).toBeUndefined();
    expect(await wholeOf(newForms(data, 'runtime-2'), model())).toBeUndefined();
  });

  test('a form of other weights of the model has a place of its own', async () => {
    const forms = newForms();
    const q8 = model({ dtype: 'q8', graphFile: 'onnx/model_quantized.onnx', signature: 'q8' });
    const form = await forms.publish(model(), writePartial(forms, model()), WRITTEN);
    const other = await forms.publish(q8, writePartial(forms, q8), WRITTEN);
    expect(other.directory).not.toBe(form.directory);
    expect(await wholeOf(forms, model())).toEqual(form);
    expect(await wholeOf(forms, q8)).toEqual(other);
  });

  test('forms for other files, runtimes and CPUs lie side by side until nobody uses them', async () => {
    const data = temporaryFolder();
    const [here, elsewhere] = [newForms(data), newForms(data, 'runtime-2')];
    const publish = (forms: MappedForms, digest = DIGEST) =>
      forms.publish(model(), writePartial(forms, model()), { ...WRITTEN, digest });
    const old = await publish(here);
    const others = await publish(elsewhere);
    const aged = (days: number) => new Date(Date.now() - days * DAY_MS);
    utimesSync(path.join(old.directory, 'manifest.json'), aged(31), aged(31));
    utimesSync(path.join(others.directory, 'manifest.json'), aged(29), aged(29));
    const fresh = await publish(here, OTHER);
    expect([old, others, fresh].map(({ directory }) => existsSync(directory))).toEqual([
      ...[false, true, true],
    ]);
    expect(await wholeOf(elsewhere, model())).toEqual(others);
    expect(await wholeOf(here, model(), OTHER)).toEqual(fresh);
  });

  test('a form that is used stays', async () => {
    const data = temporaryFolder();
    const old = await newForms(data).publish(
      model(),
      writePartial(newForms(data), model()),
      WRITTEN,
    );
    const at = new Date(Date.now() - 31 * DAY_MS);
    utimesSync(path.join(old.directory, 'manifest.json'), at, at);
    expect(await wholeOf(newForms(data), model())).toEqual(old);
    await newForms(data).removeLeftovers();
    expect(await wholeOf(newForms(data), model())).toEqual(old);
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
    expect(await wholeOf(newForms(data), model())).toEqual(first);
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
      expect(await wholeOf(forms, model()), broken).toBeUndefined();
    }
    const again = await forms.publish(model(), writePartial(forms, model()), WRITTEN);
    expect(again.directory).toBe(form.directory);
    expect(await wholeOf(forms, model())).toEqual(again);
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
    expect(await wholeOf(forms, model())).toBeUndefined();
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
    const written = { 'model.onnx': graph, 'weights.bin': 'weights and more' };
    write(partial, written);
    const files = described(written);
    const { footprint } = await forms.publish(model(), partial, { ...WRITTEN, files });
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
    expect(await wholeOf(newForms(data), model())).toEqual(saved);
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
    expect(await wholeOf(forms, model())).toEqual(form);
  });
});

describe('leftovers', () => {
  test('are removed, unless a server holds the lock of the model', async () => {
    const data = temporaryFolder();
    const forms = newForms(data);
    const form = await forms.publish(model(), writePartial(forms, model()), WRITTEN);
    const left = ['.partial-x', '.partial-', '.gone-x'].map((name) =>
      writePartial(forms, model(), name),
    );
    const lock = await newForms(data).lock(model(), 0, new AbortController().signal);
    await forms.removeLeftovers();
    expect(left.every(existsSync)).toBe(true);
    await lock?.release();
    await forms.removeLeftovers();
    expect(left.filter(existsSync)).toEqual([]);
    expect(await wholeOf(forms, model())).toEqual(form);
  });

  test('where nothing was ever prepared there are none', async () => {
    await newForms(path.join(temporaryFolder(), 'missing')).removeLeftovers();
  });
});

test('the runtime key names the version and the CPU, and stays the same', async () => {
  const key = await runtimeKey();
  expect(key).toMatch(/^onnxruntime \d+\.\d+\.\d+; \w+; .+/);
  expect(await runtimeKey()).toBe(key);
});
