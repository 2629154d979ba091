import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { groupMarks, secondsOf } from '../../../web/chart/mark-groups.js';
import type { Mark } from '../../../web/data/wire.js';

const NOON = Date.parse('2026-05-04T12:00:00Z') / 1000;
/** Widest symbol, and the least that can be tapped, in CSS pixels. */
const SYMBOL_PX = 24;

let nextId = 0;
function markAt(seconds: number): Mark {
  nextId += 1;
  const at = new Date(seconds * 1000).toISOString();
  return { id: nextId, at, kind: 'model_loaded', text: 'spam opened' };
}

const scale = { from: NOON, to: NOON + 300, widthPx: 600 };

describe('groups of marks', () => {
  test('leave far marks alone, at their time', () => {
    const groups = groupMarks([markAt(NOON + 50), markAt(NOON + 200)], scale);
    expect(groups.map(({ marks }) => marks.length)).toEqual([1, 1]);
    // A symbol may be moved within its cell, by less than its own width.
    for (const [index, wanted] of [100, 400].entries()) {
      expect(Math.abs((groups[index]?.symbolPx ?? 0) - wanted)).toBeLessThan(SYMBOL_PX);
    }
  });

  test('join near marks, and count them', () => {
    const dense = Array.from({ length: 40 }, (_, index) => markAt(NOON + 100 + index * 0.1));
    const groups = groupMarks(dense, scale);
    expect(groups.length).toBeLessThanOrEqual(2);
    expect(groups.reduce((sum, { marks }) => sum + marks.length, 0)).toBe(40);
  });

  test('leave out what the chart does not show, and an unreadable time', () => {
    const broken = { ...markAt(NOON), at: 'yesterday' };
    expect(groupMarks([markAt(NOON - 1), markAt(NOON + 301), broken], scale)).toEqual([]);
    expect(groupMarks([markAt(NOON)], { ...scale, widthPx: 0 })).toEqual([]);
  });

  test('hold every mark once, and no two symbols overlap, whatever the marks and the chart', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 86_400_000 }), { maxLength: 240 }),
        fc.integer({ min: 5, max: 86_400 }),
        fc.integer({ min: 120, max: 2400 }),
        (offsetsMs, seconds, widthPx) => {
          const marks = offsetsMs.map((offset) => markAt(NOON + offset / 1000));
          const range = { from: NOON, to: NOON + seconds, widthPx };
          const groups = groupMarks(marks, range);
          const inside = marks.filter((mark) => secondsOf(mark) <= range.to);
          const grouped = groups.flatMap((group) => group.marks.map(({ id }) => id));
          expect(grouped.toSorted()).toEqual(inside.map(({ id }) => id).toSorted());
          for (const [index, group] of groups.entries()) {
            expect(group.widthPx).toBeGreaterThanOrEqual(SYMBOL_PX);
            const before = groups[index - 1];
            if (before === undefined) continue;
            expect(group.symbolPx - before.symbolPx).toBeGreaterThanOrEqual(SYMBOL_PX - 1e-6);
          }
        },
      ),
    );
  });

  test('stay the same groups while the chart moves on', () => {
    const marks = Array.from({ length: 60 }, (_, index) => markAt(NOON + 60 + index * 3.7));
    const groupsAt = (second: number) =>
      groupMarks(marks, { ...scale, from: NOON + second, to: NOON + second + 300 }).map(
        (group) => `${group.key}: ${group.marks.map(({ id }) => id).join()}`,
      );
    const first = groupsAt(0);
    for (let second = 1; second <= 50; second += 1) expect(groupsAt(second)).toEqual(first);
  });
});
