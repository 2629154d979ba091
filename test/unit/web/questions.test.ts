import { describe, expect, test } from 'vitest';
import type { ModelOfState } from '../../../web/data/wire.js';
import { EXAMPLES, isComplete, isSame, waysOf } from '../../../web/panels/actions/try/questions.js';

function model(tasks: ModelOfState['tasks'], takes_pairs: boolean | null = true): ModelOfState {
  return {
    ...{ id: 'm', task: tasks[0] ?? null, tasks, takes_pairs, labels: [], label_count: 0 },
    ...{ state: 'unloaded', dtype: 'fp32', workers: [], graph: null, graph_reason: null },
    ...{ form: null, form_reason: null, source_mb: null, mapped_mb: null, private_mb: null },
    ...{ load_ms: null, last_used_at: null },
  };
}

describe('what can be asked', () => {
  test('is chosen by what the model can do', () => {
    expect(waysOf(model(['token-classification'], false))).toEqual(['entities']);
    expect(waysOf(model(['text-classification'], false))).toEqual(['text']);
    expect(waysOf(model(['text-classification'], null))).toEqual(['text', 'pair']);
    expect(waysOf(model(['text-classification', 'rerank']))).toEqual(['text', 'pair', 'documents']);
    expect(waysOf(model(['text-classification', 'zero-shot-classification']))).toEqual([
      ...['labels', 'text', 'pair'],
    ]);
  });

  test('is another question where a field that is read has changed', () => {
    const of = (changes: Partial<typeof EXAMPLES>) =>
      ({ way: 'documents', model: 'm', fields: { ...EXAMPLES, ...changes } }) as const;
    expect(isSame(of({}), of({ text: 'not read', documents: `${EXAMPLES.documents}\n\n` }))).toBe(
      true,
    );
    expect(isSame(of({}), of({ query: 'another' }))).toBe(false);
    expect(isComplete('documents', { ...EXAMPLES, documents: ' \n ' })).toBe(false);
    expect(isComplete('documents', { ...EXAMPLES, text: '' })).toBe(true);
  });
});
