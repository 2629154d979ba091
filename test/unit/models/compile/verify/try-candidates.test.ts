/** Real graphs, good and bad, tried as the preparer tries them. */
import { cpSync, existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { tryCandidates } from '../../../../../src/models/compile/verify/try-candidates.js';
import { DEFAULT_BOUNDS } from '../../default-bounds.js';
import { temporaryFolder } from '../../folders.js';
import { served } from '../../served.js';

const REFERENCE = fileURLToPath(new URL('../../../../fixtures/reference', import.meta.url));
/** Models as small as these gain nothing from integers: speed is judged elsewhere. */
const ANY_SPEED = { ...DEFAULT_BOUNDS, speedup: 0 };
const TEN_MINUTES_MS = 600_000;

async function verdictOn(
  name: string,
  of: {
    bounds?: typeof ANY_SPEED;
    budgetMs?: number;
    probes?: string;
    change?: (folder: string) => void;
  } = {},
) {
  const { bounds = ANY_SPEED, budgetMs = TEN_MINUTES_MS, probes, change } = of;
  const [root, scratch] = [temporaryFolder(), temporaryFolder()];
  cpSync(path.join(REFERENCE, name), path.join(root, name), { recursive: true });
  change?.(path.join(root, name));
  if (probes !== undefined) writeFileSync(path.join(root, name, 'probe.jsonl'), probes);
  const { model, findings, labels, job, release } = await served(root, name, scratch, bounds);
  await release();
  const { verification } = model;
  if (verification === undefined) throw new Error('nothing is to be verified');
  const fastFolder = path.join(scratch, 'form', 'fast');
  const verdict = await tryCandidates({
    ...{ ...job, job: 'verify', verification, fastFolder, findings, batchItems: 8, budgetMs },
    labels,
    labelling: { scoring: model.description.scoring, thresholds: labels.map(() => undefined) },
  });
  expect(existsSync(path.join(fastFolder, 'model.onnx'))).toBe(verdict.serves === 'fast');
  expect(existsSync(`${fastFolder}.trials`)).toBe(false);
  return verdict;
}

describe('candidates', () => {
  test('a shipped q8 that is noise is found, and nothing that disagrees serves', async () => {
    const { form, serves, candidates } = await verdictOn('q8-noise');
    expect({ form, serves }).toEqual({ form: 'fp32', serves: 'reference' });
    const [shipped] = candidates;
    expect(shipped).toMatchObject({ form: 'q8 onnx/model_quantized.onnx', outcome: 'refused' });
    expect(shipped?.reason).toMatch(/a score differs from fp32 by 0.9/);
    expect(shipped?.agreement?.labels).toBeLessThan(50);
  });

  test('a shipped q8 beside safetensors alone is held against them', async () => {
    const { form, candidates } = await verdictOn('st-bert', {
      change: (folder) =>
        cpSync(
          path.join(REFERENCE, 'q8-noise/onnx/model_quantized.onnx'),
          path.join(folder, 'onnx/model_quantized.onnx'),
        ),
    });
    expect(form).not.toMatch(/^q8/);
    expect(candidates[0]).toMatchObject({
      ...{ form: 'q8 onnx/model_quantized.onnx', outcome: 'refused' },
    });
  });

  test('a shipped q8 that agrees within the bounds is verified', async () => {
    const verdict = await verdictOn('q8-fine', { bounds: { ...ANY_SPEED, shift: 0.1 } });
    expect(verdict.serves).toBe('fast');
    expect(verdict.candidates[0]).toMatchObject({ agreement: { labels: 100 } });
    expect(verdict.candidates[0]?.outcome).toMatch(/used|verified/);
    expect(verdict.digest).toMatch(/^[0-9a-f]{64}$/);
  });

  test('our own int8 of a trained model agrees where the shipped one does not', async () => {
    const verdict = await verdictOn('q8-fine');
    expect(verdict.form).toMatch(/^int[78]/);
    const used = verdict.candidates.find(({ outcome }) => outcome === 'used');
    expect(used?.agreement?.labels).toBeGreaterThanOrEqual(99.5);
    expect(used?.agreement?.neighbours).toBeLessThan(1e-3);
  });

  test('a form that is right and no faster does not serve', async () => {
    const { form, candidates } = await verdictOn('q8-fine', {
      bounds: { ...DEFAULT_BOUNDS, speedup: 50, shift: 0.1 },
    });
    expect(form).toBe('fp32');
    expect(candidates.map(({ reason }) => reason)).toEqual(
      candidates.map(() => expect.stringMatching(/not fast enough here/)),
    );
  });

  test('when the time is up nothing more is tried, and that is said', async () => {
    const { form, candidates, again } = await verdictOn('q8-fine', { budgetMs: 0 });
    expect(form).toBe('fp32');
    expect(again).toEqual({ budgetMs: 0, attempts: 1 });
    expect(candidates[0]).toMatchObject({ outcome: 'not tried' });
    expect(candidates[0]?.reason).toMatch(/the time budget of 0 ms was used up/);
  });

  test('texts of the owner count as well', async () => {
    const rows = async (probes?: string) => {
      const { candidates } = await verdictOn('q8-fine', probes === undefined ? {} : { probes });
      return candidates.find(({ outcome }) => outcome === 'used')?.agreement?.rows ?? 0;
    };
    const own = '"a text"\n\n{"text": "another", "label": "x"}\n';
    expect(await rows(own)).toBe((await rows()) + 2);
  });

  test('a line that is no text is refused with its number', async () => {
    const probes = '"a text"\n{"txt": 1}\n';
    await expect(verdictOn('q8-fine', { probes })).rejects.toThrow(
      /probe.jsonl .* line 2 is neither/,
    );
  });
});

test('forms of a model for natural language inference are run on pairs to the end', async () => {
  const { candidates } = await verdictOn('zs-bert');
  const rows = candidates.flatMap(({ agreement }) => agreement?.rows ?? []);
  expect(rows.length).toBeGreaterThan(0);
});
