import { describe, expect, test } from 'vitest';
import { runKeyOf, textKeyOf } from '../../../../src/inference/faults/faults.js';
import { RefusedTexts } from '../../../../src/inference/faults/refused-texts.js';

describe('the texts that are refused', () => {
  test('are forgotten after a while', () => {
    let ms = 1;
    const texts = new RefusedTexts({ now: () => ms });
    texts.add('key', 'ended workers');
    expect(texts.reasonOf('key')).toBe('ended workers');
    expect(texts.reasonOf('other')).toBeUndefined();
    ms += 299_000;
    expect(texts.reasonOf('key')).toBe('ended workers');
    ms += 2000;
    expect(texts.reasonOf('key')).toBeUndefined();
  });

  test('are a thousand at most: the oldest go', () => {
    const texts = new RefusedTexts();
    for (let n = 0; n < 1500; n += 1) texts.add(`key ${n}`, 'slow');
    expect(texts.size).toBe(1000);
    expect(texts.reasonOf('key 499')).toBeUndefined();
    expect(texts.reasonOf('key 500')).toBe('slow');
  });

  test('without a key are not remembered', () => {
    const texts = new RefusedTexts();
    texts.add(undefined, 'slow');
    expect(texts.size).toBe(0);
    expect(texts.reasonOf(undefined)).toBeUndefined();
  });

  test('are the same whatever number of labels was asked for', () => {
    expect(textKeyOf(runKeyOf('text', 5))).toBe('text');
    expect(textKeyOf(runKeyOf('text', undefined))).toBe('text');
    expect(runKeyOf('text', 5)).not.toBe(runKeyOf('text', undefined));
  });
});
