import { describe, expect, it } from 'vitest';
import { type Chart, drawChart } from '../../../../src/proof/report/chart.js';

const EMPTY: Chart = {
  title: 'Memory of "a" & <b>',
  description: 'nothing',
  panels: [{ title: 'Private, MB', series: { name: 'private', style: 'private', points: [] } }],
  marks: [],
  markName: 'end',
};

function withPoints(points: readonly { x: number; y: number }[]): Chart {
  const limit = { name: 'load line', y: 100 };
  return {
    ...EMPTY,
    panels: [{ title: 'Used, MB', series: { name: 'used', style: 'used', points }, limit }],
    marks: [{ x: 2, label: '1' }],
  };
}

/** Every tag closed in order, no bare ampersand, no number that is none: enough for an XML reader. */
function expectWellFormed(svg: string): void {
  const open: string[] = [];
  for (const [, closing, name, attributes] of svg.matchAll(/<(\/?)([a-z]+)([^<>]*)>/g)) {
    if (closing === '/') expect(open.pop()).toBe(name);
    else if (attributes?.endsWith('/') !== true) open.push(name ?? '');
    for (const [pair] of (attributes ?? '').matchAll(/[\w:-]+=\S*/g)) expect(pair).toContain('="');
  }
  expect(open).toEqual([]);
  expect(svg).not.toMatch(/&(?!amp;|lt;|gt;|quot;)/);
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  expect(svg.startsWith('<svg xmlns="http://www.w3.org/2000/svg"')).toBe(true);
}

describe('chart', () => {
  it('draws lines, the load line, marks, axis labels and a legend', () => {
    const svg = drawChart(withPoints([0, 1, 2, 3].map((x) => ({ x, y: 40 + x }))));
    expectWellFormed(svg);
    expect(svg).toContain('<polyline class="line used"');
    expect(svg).toContain('class="limit"');
    expect(svg).toContain('load line 100 MB');
    expect(svg).toContain('time in seconds');
    expect(svg).toContain('class="mark"');
    expect(svg).toContain('prefers-color-scheme:dark');
  });

  it('says so when there are no readings, and escapes its words', () => {
    const svg = drawChart(EMPTY);
    expectWellFormed(svg);
    expect(svg).toContain('no readings');
    expect(svg).toContain('<title>Memory of &quot;a&quot; &amp; &lt;b&gt;</title>');
  });

  it.each([
    ['one point', [{ x: 1, y: 50 }]],
    ['one point at the beginning', [{ x: 0, y: 0 }]],
  ])('draws %s as a dot', (_, points) => {
    const svg = drawChart({ ...withPoints(points), marks: [] });
    expectWellFormed(svg);
    expect(svg.match(/<circle /g)).toHaveLength(1);
    expect(svg).not.toContain('<polyline');
  });

  it('leaves out what is not a number', () => {
    expectWellFormed(
      drawChart(
        withPoints([
          { x: 0, y: Number.NaN },
          { x: 1, y: 2 },
        ]),
      ),
    );
  });

  it('keeps every line of the drawing inside it', () => {
    const svg = drawChart(
      withPoints([
        { x: 0, y: 90 },
        { x: 5, y: 250 },
      ]),
    );
    for (const [, y] of svg.matchAll(/ y1="([\d.-]+)"/g)) expect(Number(y)).toBeGreaterThan(0);
  });

  it('labels only marks that have room', () => {
    const marks = Array.from({ length: 400 }, (_, index) => ({ x: index, label: String(index) }));
    const svg = drawChart({
      ...withPoints([
        { x: 0, y: 1 },
        { x: 400, y: 2 },
      ]),
      marks,
    });
    expectWellFormed(svg);
    expect(svg.match(/class="mark"/g)?.length).toBeGreaterThanOrEqual(200);
    expect(svg.match(/class="mark-text"/g)?.length).toBeLessThan(40);
  });
});
