/** Models with the scores of transformers' pipelines: see fixtures/reference. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  compileSafetensors,
  type RawGraph,
} from '../../../../../src/models/compile/compile-safetensors.js';
import { temporaryFolder } from '../../folders.js';
import { type Logits, openMapped, openRaw, type Row, run, runAlone } from '../graphs.js';

const FIXTURES = fileURLToPath(new URL('../../../../fixtures/reference', import.meta.url));
const NAMES = readdirSync(FIXTURES).filter((name) => /^(st|pair|ner|rerank)-/.test(name));
const ZERO_SHOT = readdirSync(FIXTURES).filter((name) => name.startsWith('zs-'));
const BAD = readdirSync(FIXTURES).filter((name) => name.startsWith('bad-'));

type LabelScores = Readonly<Record<string, number>>;

interface Expected {
  readonly tolerance: number;
  readonly names?: readonly string[];
  readonly ids?: readonly (readonly number[])[];
  readonly scores?: readonly LabelScores[];
  readonly pairs?: readonly {
    readonly ids: readonly number[];
    readonly token_type_ids?: readonly number[];
    readonly scores: LabelScores;
  }[];
  readonly entailment?: string;
  readonly zero_shot?: readonly ZeroShot[];
  readonly token_classification?: readonly {
    readonly text: number;
    readonly aggregation_strategy: string;
    readonly stride?: number;
    /** Label, score, word, start, end, index of the token. */
    readonly entities: readonly (readonly [string, number, string, number, number, number])[];
  }[];
}

interface ZeroShot {
  readonly candidate_labels: readonly string[];
  readonly multi_label: boolean;
  readonly labels: readonly string[];
  readonly scores: readonly number[];
  /** Of each candidate's pair. */
  readonly ids?: readonly (readonly number[])[];
}

interface ModelConfig {
  readonly id2label?: Readonly<Record<string, string>>;
  readonly problem_type?: string;
  readonly pad_token_id?: number;
}

function read<T>(name: string, file: string): T {
  return JSON.parse(readFileSync(path.join(FIXTURES, name, file), 'utf8')) as T;
}

function labelsOf({ id2label }: ModelConfig, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => id2label?.[index] ?? `LABEL_${index}`);
}

function softmax(values: readonly number[]): readonly number[] {
  const powers = values.map((value) => Math.exp(value));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

function scoresOf(row: readonly number[], config: ModelConfig): readonly number[] {
  const alone = config.problem_type === 'multi_label_classification' || row.length === 1;
  return alone ? row.map((value) => 1 / (1 + Math.exp(-value))) : softmax(row);
}

interface Sample {
  readonly row: Row;
  readonly check: (logits: readonly number[]) => void;
}

/** Everything of a fixture that is given as token ids, each with what has to come out. */
function samplesOf(expected: Expected, config: ModelConfig, count: number): readonly Sample[] {
  const labels = labelsOf(config, count);
  const isNear = (value: number | undefined, wanted: number | undefined) => {
    expect(Math.abs((value ?? Number.NaN) - (wanted ?? Number.NaN))).toBeLessThan(
      expected.tolerance,
    );
  };
  const scored = (
    ids: readonly number[],
    types: readonly number[] | undefined,
    of: LabelScores,
  ) => ({
    row: { ids, ...(types === undefined ? {} : { types }) },
    check: (logits: readonly number[]) => {
      expect(logits).toHaveLength(count);
      scoresOf(logits, config).forEach((score, at) => {
        isNear(score, of[labels[at] ?? '']);
      });
    },
  });
  const texts = (expected.ids ?? []).flatMap((ids, at) => {
    const scores = expected.scores?.[at];
    return scores === undefined ? [] : [scored(ids, undefined, scores)];
  });
  const pairs = (expected.pairs ?? []).map((pair) =>
    scored(pair.ids, pair.token_type_ids, pair.scores),
  );
  const tokens = (expected.ids ?? []).map((ids, text) => ({
    row: { ids },
    check: (logits: readonly number[]) => {
      expect(logits).toHaveLength(ids.length * count);
      for (const item of expected.token_classification ?? []) {
        const isPlain = item.aggregation_strategy === 'none' && item.stride === undefined;
        if (item.text !== text || !isPlain) continue;
        for (const [label, score, , , , token] of item.entities) {
          const scores = softmax(logits.slice(token * count, (token + 1) * count));
          isNear(scores[labels.indexOf(label)], score);
        }
      }
    },
  }));
  return expected.token_classification === undefined ? [...texts, ...pairs] : tokens;
}

/** Alone, and all in one batch of unlike lengths; straight from the weights, and in the mapped form. */
async function logitsOf(raw: RawGraph, folder: string, rows: readonly Row[], pad: number) {
  const all: Logits[] = [];
  for (const session of [await openRaw(raw), await openMapped(raw, folder)]) {
    all.push(await runAlone(session, rows, pad), await run(session, rows, pad));
  }
  return all;
}

describe('the scores of transformers', () => {
  test.each(NAMES)('%s', async (name) => {
    const expected = read<Expected>(name, 'expected.json');
    const config = read<ModelConfig>(name, 'config.json');
    const folder = temporaryFolder();
    const raw = await compileSafetensors(path.join(FIXTURES, name), folder);
    const samples = samplesOf(expected, config, raw.labels);
    const rows = samples.map(({ row }) => row);
    expect(samples.length).toBeGreaterThan(3);
    for (const logits of await logitsOf(raw, folder, rows, config.pad_token_id ?? 0)) {
      samples.forEach(({ check }, at) => {
        check(logits[at] ?? []);
      });
    }
  });

  test.each(ZERO_SHOT)('%s', async (name) => {
    const expected = read<Expected>(name, 'expected.json');
    const config = read<ModelConfig>(name, 'config.json');
    const folder = temporaryFolder();
    const raw = await compileSafetensors(path.join(FIXTURES, name), folder);
    const session = await openMapped(raw, folder);
    const entailment = labelsOf(config, raw.labels).indexOf(expected.entailment ?? '');
    const withIds = (expected.zero_shot ?? []).filter(
      ({ ids, multi_label, candidate_labels }) =>
        ids !== undefined && !multi_label && candidate_labels.length > 1,
    );
    expect(withIds.length).toBeGreaterThan(2);
    for (const { ids = [], candidate_labels, labels, scores } of withIds) {
      // Token types of a pair: 1 behind the first separator, which BERT's tokenizers have as id 3.
      const rows = ids.map((row) => ({ ids: row, types: row.map((_, at) => behind(row, at)) }));
      const logits = await run(session, rows, config.pad_token_id ?? 0);
      const found = softmax(logits.map((row) => row[entailment] ?? Number.NaN));
      candidate_labels.forEach((label, at) => {
        const wanted = scores[labels.indexOf(label)] ?? Number.NaN;
        expect(Math.abs((found[at] ?? Number.NaN) - wanted)).toBeLessThan(expected.tolerance);
      });
    }
  });
});

function behind(ids: readonly number[], at: number): number {
  const separator = ids.indexOf(3);
  return separator >= 0 && at > separator ? 1 : 0;
}

describe('refused, and what is wrong is named', () => {
  test.each(BAD)('%s', async (name) => {
    const { names = [] } = read<Expected>(name, 'expected.json');
    const folder = path.join(temporaryFolder(), 'work');
    const refusal = await compileSafetensors(path.join(FIXTURES, name), folder).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(refusal).toMatchObject({ code: 'MODEL_UNUSABLE' });
    const message = refusal instanceof Error ? refusal.message : '';
    expect(names.filter((wanted) => message.includes(wanted))).not.toEqual([]);
    // Nothing is left behind.
    expect(existsSync(folder)).toBe(false);
  });
});
