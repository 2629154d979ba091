/** Reference models through every door that has its task: one server, the same scores. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { get, request, type Server, startServer, temporaryFolder } from './harness.js';
import { knownOf, type Pair, REFERENCE, type Scores } from './reference.js';
import { writeForms } from './reference-forms.js';

type Listed = readonly { readonly label: string; readonly score: number }[];

/** Those that have to be served. */
const NAMES = readdirSync(REFERENCE, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .filter((name) => {
    const { status, may_refuse: mayRefuse } = knownOf(name);
    return status === 200 && mayRefuse === undefined;
  });

let server: Server;
let models: string;

beforeAll(async () => {
  models = mkdtempSync(path.join(tmpdir(), 'plimsoll-reference-'));
  for (const name of NAMES) {
    cpSync(path.join(REFERENCE, name), path.join(models, name), { recursive: true });
    const labels = Object.keys(knownOf(name).scores?.[0] ?? {});
    // Each label is a category of its own, so that what OpenAI's door says of it is its score.
    const moderations = Object.fromEntries(labels.map((of) => [of, { categories: [of], from: 0 }]));
    if (labels.length > 0) {
      writeFileSync(path.join(models, name, 'plimsoll.json'), JSON.stringify({ moderations }));
    }
  }
  const data = path.join(await temporaryFolder(), 'data');
  await writeForms(models, data);
  server = await startServer({ models, data });
}, 300_000);

afterAll(() => rmSync(models, { recursive: true, force: true }));

async function ask<T>(url: string, body: object): Promise<T> {
  const reply = await request<T>(server, 'POST', url, { body });
  expect(`${url}: ${reply.status} ${reply.status === 200 ? '' : reply.text}`).toBe(`${url}: 200 `);
  return reply.body;
}

type Input = string | Pair;
interface LabelsDoor {
  readonly door: string;
  readonly pairs: boolean;
  readonly ask: (name: string, inputs: readonly Input[]) => Promise<readonly Scores[]>;
}
const scoresOf = (listed: Listed): Scores =>
  Object.fromEntries(listed.map(({ label, score }) => [label, score]));

/** How each door is asked for labels. */
const LABELS: readonly LabelsDoor[] = [
  {
    door: 'Plimsoll',
    pairs: false,
    ask: async (model, inputs) => {
      const { results } = await ask<{ results: readonly Listed[] }>('/v1/classify', {
        model,
        inputs,
      });
      return results.map(scoresOf);
    },
  },
  {
    door: 'Hugging Face',
    pairs: true,
    ask: async (name, inputs) =>
      (await ask<readonly Listed[]>(`/models/${name}`, { inputs })).map(scoresOf),
  },
  {
    door: 'TEI',
    pairs: true,
    ask: async (name, all) => {
      const inputs = all.map((of) => (typeof of === 'string' ? [of] : [of.text, of.text_pair]));
      return (await ask<readonly Listed[]>(`/tei/${name}/predict`, { inputs })).map(scoresOf);
    },
  },
  {
    door: 'OpenAI',
    pairs: false,
    ask: async (model, input) => {
      interface Moderated {
        readonly results: readonly {
          readonly category_scores: Scores;
          readonly category_applied_input_types: Readonly<Record<string, readonly string[]>>;
        }[];
      }
      const { results } = await ask<Moderated>('/v1/moderations', { model, input });
      return results.map(({ category_scores: scores, category_applied_input_types: types }) =>
        Object.fromEntries(Object.entries(scores).filter(([name]) => types[name]?.length === 1)),
      );
    },
  },
  {
    door: 'vLLM',
    pairs: false,
    ask: async (model, input) => {
      interface Classified {
        readonly data: readonly { readonly probs: readonly number[]; readonly label: string }[];
      }
      const { data } = await ask<Classified>('/classify', { model, input });
      const file = path.join(REFERENCE, model, 'config.json');
      const { id2label = {} } = JSON.parse(readFileSync(file, 'utf8')) as {
        readonly id2label?: Readonly<Record<string, string>>;
      };
      return data.map(({ probs }) =>
        Object.fromEntries(probs.map((score, at) => [id2label[at] ?? `LABEL_${at}`, score])),
      );
    },
  },
  {
    door: 'Open Inference',
    pairs: true,
    ask: async (name, inputs) => {
      interface Inferred {
        readonly outputs: readonly { readonly name: string; readonly data: readonly number[] }[];
      }
      interface Configured {
        readonly parameters: { readonly labels: { readonly string_value: string } };
      }
      const tensor = (of: string, data: readonly string[]) => ({
        ...{ name: of, datatype: 'BYTES', shape: [data.length], data },
      });
      const texts = inputs.map((of) => (typeof of === 'string' ? of : of.text));
      const seconds = inputs.flatMap((of) => (typeof of === 'string' ? [] : [of.text_pair]));
      const pairs = seconds.length > 0 ? [tensor('text_pair', seconds)] : [];
      const body = { inputs: [tensor('text', texts), ...pairs], outputs: [{ name: 'score' }] };
      const { outputs } = await ask<Inferred>(`/v2/models/${name}/infer`, body);
      const { parameters } = await get<Configured>(server, `/v2/models/${name}/config`);
      const labels = JSON.parse(parameters.labels.string_value) as readonly string[];
      const scores = outputs[0]?.data ?? [];
      return inputs.map((_, row) =>
        Object.fromEntries(labels.map((of, at) => [of, scores[row * labels.length + at] ?? -1])),
      );
    },
  },
];

function expectScores(got: Scores | undefined, expected: Scores, tolerance: number): void {
  expect(Object.keys(got ?? {}).sort()).toEqual(Object.keys(expected).sort());
  for (const [label, score] of Object.entries(expected))
    expectScore(got?.[label], score, tolerance);
}

function expectScore(got: number | undefined, expected: number, tolerance: number): void {
  expect(Math.abs((got ?? Number.NaN) - expected)).toBeLessThan(tolerance);
}

/** A model has only the tests of what it does: one that is skipped would fail the whole run. */
function testWhere(applies: boolean, name: string, run: () => Promise<void>, ms: number): void {
  if (applies) test(name, run, ms);
}

describe.each(NAMES)('%s', (name) => {
  const { texts, scores, pairs = [], rerank = [], zero_shot: zero = [], ...of } = knownOf(name);
  const { tolerance, token_classification: tokens = [] } = of;

  testWhere(
    scores !== undefined,
    'labels, through every door',
    async () => {
      for (const { ask: askDoor, pairs: takesPairs } of LABELS) {
        for (const [index, got] of (await askDoor(name, texts)).entries()) {
          expectScores(got, scores?.[index] ?? {}, tolerance);
        }
        if (!takesPairs || pairs.length === 0) continue;
        const asked = pairs.map(({ text, text_pair }) => ({ text, text_pair }));
        for (const [index, got] of (await askDoor(name, asked)).entries()) {
          expectScores(got, pairs[index]?.scores ?? {}, tolerance);
        }
      }
    },
    60_000,
  );

  testWhere(
    rerank.length > 0,
    'ranks, through TEI, vLLM and Cohere',
    async () => {
      type Rank = { readonly index: number; readonly score: number };
      interface Ranked {
        readonly results: readonly { readonly index: number; readonly relevance_score: number }[];
      }
      for (const { query, documents, scores: wanted } of rerank) {
        const found = await ask<readonly Rank[]>(`/tei/${name}/rerank`, {
          query,
          texts: documents,
        });
        const all: Rank[] = [...found];
        for (const url of ['/rerank', '/v1/rerank', '/v2/rerank']) {
          const { results } = await ask<Ranked>(url, { model: name, query, documents });
          all.push(...results.map(({ index, relevance_score: score }) => ({ index, score })));
        }
        const body = { model: name, text_1: query, text_2: documents };
        all.push(...(await ask<{ data: readonly Rank[] }>('/score', body)).data);
        expect(all).toHaveLength(5 * documents.length);
        for (const { index, score } of all)
          expectScore(score, wanted[index] ?? Number.NaN, tolerance);
      }
    },
    60_000,
  );

  testWhere(
    zero.length > 0,
    'zero-shot, through Hugging Face',
    async () => {
      for (const { text: inputs, labels, scores: wanted, ...parameters } of zero) {
        const { candidate_labels, multi_label, hypothesis_template } = parameters;
        const asked = {
          inputs,
          parameters: { candidate_labels, multi_label, hypothesis_template },
        };
        const got = await ask<Listed>(`/hf/${name}`, asked);
        expect(got.map(({ label }) => label)).toEqual(labels);
        for (const [index, { score }] of got.entries()) {
          expectScore(score, wanted[index] ?? Number.NaN, tolerance);
        }
      }
    },
    60_000,
  );

  testWhere(
    tokens.length > 0,
    'entities, through Hugging Face and Open Inference',
    async () => {
      interface Shown {
        readonly entity?: string;
        readonly entity_group?: string;
        readonly score: number;
        readonly word: string;
        readonly start: number;
        readonly end: number;
      }
      for (const { text, entities, ...parameters } of tokens) {
        const { aggregation_strategy, stride, ignore_labels } = parameters;
        const asked = {
          inputs: texts[text],
          parameters: { aggregation_strategy, stride, ignore_labels },
        };
        const got = await ask<readonly Shown[]>(`/models/${name}`, asked);
        expect(
          got.map((found) => [
            found.entity ?? found.entity_group,
            found.word,
            found.start,
            found.end,
          ]),
        ).toEqual(entities.map(([label, , word, start, end]) => [label, word, start, end]));
        for (const [index, { score }] of got.entries()) {
          expectScore(score, entities[index]?.[1] ?? Number.NaN, tolerance);
        }
        // This protocol has no place for labels that are left out.
        if (ignore_labels !== undefined) continue;
        interface Inferred {
          readonly outputs: readonly { readonly data: readonly string[] }[];
        }
        const input = { name: 'text', datatype: 'BYTES', shape: [1], data: [texts[text]] };
        const { outputs } = await ask<Inferred>(`/v2/models/${name}/infer`, {
          inputs: [input],
          parameters: { aggregation_strategy, ...(stride === undefined ? {} : { stride }) },
        });
        const told = JSON.parse(outputs[0]?.data[0] ?? '[]') as readonly (Shown & {
          readonly label: string;
        })[];
        expect(told.map(({ label, word, start, end }) => [label, word, start, end])).toEqual(
          entities.map(([label, , word, start, end]) => [label, word, start, end]),
        );
        for (const [index, { score }] of told.entries()) {
          expectScore(score, entities[index]?.[1] ?? Number.NaN, tolerance);
        }
      }
    },
    60_000,
  );
});
