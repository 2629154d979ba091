import { beforeAll, describe, expect, test } from 'vitest';
import { classify, openSession, request, type Server, startServer } from './harness.js';
import { timingShape } from './shapes.js';
import { labelsOf, SPAM, textNumber } from './texts.js';

const labels = labelsOf(SPAM);
let server: Server;

beforeAll(async () => {
  server = await startServer();
});

describe('POST /v1/classify', () => {
  test('answers one text with every label, the highest score first', async () => {
    const reply = await request(server, 'POST', '/v1/classify', {
      body: { inputs: 'Hello there' },
    });
    expect(reply.status).toBe(200);
    expect(reply.headers['content-type']).toContain('application/json');
    expect(reply.body).toStrictEqual({
      model: 'spam',
      session: expect.stringMatching(/^s_/),
      user: expect.stringMatching(/^address-[0-9a-f]{12}$/),
      results: [labels.map(() => ({ label: expect.any(String), score: expect.any(Number) }))],
      truncated: [false],
      cached: [false],
      timing: timingShape,
    });
    const { results } = await classify(server, 'Hello there');
    const [first = []] = results;
    expect(new Set(first.map(({ label }) => label))).toEqual(new Set(labels));
    const scores = first.map(({ score }) => score);
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
    expect(scores.reduce((sum, score) => sum + score, 0)).toBeCloseTo(1, 5);
    for (const score of scores) expect(score).toBeGreaterThanOrEqual(0);
  });

  test('answers a list in its order, each as it would be alone', async () => {
    const texts = Array.from({ length: 40 }, (_, index) => textNumber(index, 3 + (index % 30)));
    const together = await classify(server, texts);
    expect(together.results).toHaveLength(40);
    expect(together.truncated).toEqual(texts.map(() => false));
    const other = await startServer({ data: server.data });
    for (const [index, text] of texts.entries()) {
      const { results, cached } = await classify(other, text);
      expect(cached).toEqual([false]);
      const alone = results[0] ?? [];
      const inBatch = together.results[index] ?? [];
      expect(inBatch.map(({ label }) => label)).toEqual(alone.map(({ label }) => label));
      for (const [place, { score }] of alone.entries()) {
        expect(Math.abs(score - (inBatch[place]?.score ?? -1))).toBeLessThan(1e-4);
      }
    }
    await other.stop();
  });

  test('the second time an answer comes from memory, and is the same', async () => {
    const known = textNumber(1000);
    const inputsRun = async () => {
      const { text } = await request<string>(server, 'GET', '/metrics');
      return Number(/^plimsoll_batch_items_sum (\d+)$/m.exec(text)?.[1] ?? Number.NaN);
    };
    const first = await classify(server, known);
    const before = await inputsRun();
    const second = await classify(server, [known, textNumber(1001), known]);
    // Only what was not known has run.
    expect(await inputsRun()).toBe(before + 1);
    expect(first.cached).toEqual([false]);
    expect(second.cached).toEqual(['memory', false, 'memory']);
    expect(second.results[0]).toEqual(first.results[0]);
    expect(second.results[2]).toEqual(first.results[0]);
    const third = await classify(server, known);
    expect(third.timing).toMatchObject({ queue_ms: 0, tokenize_ms: 0, run_ms: 0 });
    expect(third.timing.total_ms).toBeGreaterThan(0);
  });

  test('cuts a text that is longer than the model takes, and says so', async () => {
    const long = textNumber(2000, 3000);
    const { truncated, results, cached } = await classify(server, [long, 'short']);
    expect(truncated).toEqual([true, false]);
    expect(results[0]).toHaveLength(labels.length);
    expect(cached).toEqual([false, false]);
    const again = await classify(server, long);
    expect(again.cached).toEqual(['memory']);
    expect(again.truncated).toEqual([true]);
    // What is cut off does not count.
    const longer = await classify(server, `${long} ${textNumber(2001, 500)}`);
    expect(longer.truncated).toEqual([true]);
    expect(longer.results[0]?.[0]?.label).toBe(results[0]?.[0]?.label);
    expect(longer.results[0]?.[0]?.score).toBeCloseTo(results[0]?.[0]?.score ?? -1, 4);
  });

  test('top_k gives the best labels only, also from memory', async () => {
    const text = textNumber(3000);
    const all = await classify(server, text);
    const best = await classify(server, text, { top_k: 1 });
    expect(best.cached).toEqual(['memory']);
    expect(best.results).toEqual([(all.results[0] ?? []).slice(0, 1)]);
    const many = await classify(server, text, { top_k: 1000 });
    expect(many.results).toEqual(all.results);
  });

  test('works for the model, session and user that the request names', async () => {
    const session = await openSession(server);
    const answer = await classify(server, textNumber(4000), {
      model: 'spam',
      session: session.id,
      user: 'ann',
    });
    expect(answer).toMatchObject({ model: 'spam', session: session.id, user: 'ann' });
  });

  test('its times add up', async () => {
    const { timing } = await classify(
      server,
      Array.from({ length: 8 }, (_, index) => textNumber(5000 + index, 60)),
    );
    expect(timing.run_ms).toBeGreaterThan(0);
    expect(timing.tokenize_ms).toBeGreaterThan(0);
    expect(timing.queue_ms).toBeGreaterThanOrEqual(0);
    expect(timing.total_ms).toBeGreaterThanOrEqual(timing.queue_ms);
  });

  test('takes any characters: emoji, right-to-left, NUL, lone surrogates, one letter', async () => {
    const odd = ['🎉🎉 you won 🎉', 'שלום עולם', 'a\u0000b', '\ud800 alone \udfff', 'x', '\u202e.'];
    const { results } = await classify(server, odd);
    expect(results).toHaveLength(odd.length);
    for (const result of results) expect(result).toHaveLength(labels.length);
  });

  test('equal texts in one request get equal answers', async () => {
    const { results } = await classify(
      server,
      Array.from({ length: 20 }, () => textNumber(6000)),
    );
    for (const result of results) {
      expect(result[0]?.label).toBe(results[0]?.[0]?.label);
      expect(result[0]?.score).toBeCloseTo(results[0]?.[0]?.score ?? -1, 4);
    }
  });
});
