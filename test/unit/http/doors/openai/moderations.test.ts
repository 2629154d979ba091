import { expect, test } from 'vitest';
import { MODERATION_CATEGORIES } from '../../../../../src/contract/doors/openai.js';
import {
  moderated,
  moderatedTexts,
  moderationsOf,
} from '../../../../../src/http/doors/openai/moderations.js';

const MODERATIONS = {
  toxic: { categories: ['harassment', 'hate'], from: 0.5 },
  insult: { categories: ['harassment'], from: 0.9 },
  threat: { categories: ['illicit', 'own'], from: -1 },
};

test('a category has the highest score of its labels, and counts where one of them does', () => {
  const scores = [
    { label: 'insult', score: 0.8 },
    { label: 'toxic', score: 0.4 },
    { label: 'threat', score: -2 },
  ];
  const found = moderated(scores, MODERATIONS);
  expect(found.flagged).toBe(false);
  expect(found.category_scores).toMatchObject({ harassment: 0.8, hate: 0.4, illicit: -2, own: -2 });
  const flagged = moderated([{ label: 'toxic', score: 0.5 }], MODERATIONS);
  expect(flagged.flagged).toBe(true);
  expect(flagged.categories).toMatchObject({ harassment: true, hate: true });
});

test('what nobody assessed says so, and every category is there', () => {
  const scores = [
    { label: 'toxic', score: 1 },
    { label: 'threat', score: -2 },
  ];
  const found = moderated(scores, MODERATIONS);
  expect(Object.keys(found.categories)).toEqual([...MODERATION_CATEGORIES, 'own']);
  expect(found.category_applied_input_types).toMatchObject({ hate: ['text'], violence: [] });
  expect(found.categories).toMatchObject({ violence: false, 'illicit/violent': null });
});

test('of two labels of one name the higher score counts', () => {
  const scores = [
    { label: 'toxic', score: 0.2 },
    { label: 'toxic', score: 0.7 },
    { label: 'toxic', score: 0.1 },
  ];
  const { flagged, category_scores: found } = moderated(scores, MODERATIONS);
  expect([flagged, found.harassment]).toEqual([true, 0.7]);
});

test('a model without moderations, or with those of a label that it has not, is refused', () => {
  const model = { id: 'm', labels: ['toxic', 'fine'] };
  expect(() => moderationsOf(model)).toThrow(/plimsoll.json .*"toxic":\{"categories"/);
  expect(() => moderationsOf({ ...model, moderations: {} })).toThrow(/plimsoll.json/);
  const { toxic, insult } = MODERATIONS;
  expect(moderationsOf({ ...model, moderations: { toxic } })).toEqual({ toxic });
  expect(() => moderationsOf({ ...model, moderations: { insult } })).toThrow(/label "insult"/);
});

test('reads one text, several, and parts of one input; images are refused', () => {
  expect(moderatedTexts('a', 2)).toEqual({ texts: ['a'], areParts: false });
  expect(moderatedTexts(['a', 'b'], 2)).toEqual({ texts: ['a', 'b'], areParts: false });
  const parts = ['a', 'b'].map((text) => ({ type: 'text', text }));
  expect(moderatedTexts(parts, 2)).toEqual({ texts: ['a', 'b'], areParts: true });
  expect(() => moderatedTexts(['a', parts[1]], 2)).toThrow(/input\[1\] is an object, not a text/);
  expect(() => moderatedTexts([parts[0], 'b'], 2)).toThrow(/input\[1\] is a string, not an object/);
  expect(() => moderatedTexts([{ type: 'image_url' }], 2)).toThrow(/input\[0\] is an image/);
  expect(() => moderatedTexts([{ type: 'audio' }], 2)).toThrow(/input\[0\].type is "audio"/);
  expect(() => moderatedTexts([], 2)).toThrow(/empty list/);
});
