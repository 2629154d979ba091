/** Draws memory over time as SVG text: panels above each other with one time axis. Pure, no network, no script. */
import { plain } from '../format.js';
import type { Point } from '../judge/trend.js';

export type SeriesStyle = 'private' | 'used';

export interface Panel {
  readonly title: string;
  readonly series: {
    readonly name: string;
    readonly style: SeriesStyle;
    readonly points: readonly Point[];
  };
  /** A horizontal limit line. */
  readonly limit?: { readonly name: string; readonly y: number } | undefined;
}

/** A moment in time: a vertical line through all panels with a short label. */
export interface Mark {
  readonly x: number;
  readonly label: string;
}

export interface Chart {
  readonly title: string;
  readonly description: string;
  /** Points are (seconds, MB). */
  readonly panels: readonly Panel[];
  readonly marks: readonly Mark[];
  /** What a mark is, for the legend. */
  readonly markName: string;
}

const WIDTH = 880;
const LEFT = 66;
const RIGHT = 24;
const TOP = 96;
const PANEL = 168;
const GAP = 52;
const BOTTOM = 52;
/** Marks closer than this many pixels to the last one are omitted: a soak has one each second. */
const LINE_ROOM = 3;
/** Marks closer than this many pixels to the last labelled one have a line but no label. */
const LABEL_ROOM = 22;
/** Up to this many readings are drawn as dots, to show where the line was measured. */
const MAX_DOTS = 120;

/** Colours for light and for dark mode. Each chart has its own background. */
const STYLE = `
text{font-family:ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-size:12px;fill:#475569}
.ground{fill:#ffffff;stroke:#e2e8f0}
.title{font-size:16px;font-weight:600;fill:#0f172a}
.panel{font-weight:600;fill:#334155}
.grid{stroke:#e8edf3}
.axis{stroke:#94a3b8}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.private{stroke:#2563eb}.private-fill{fill:#2563eb}
.used{stroke:#0d9488}.used-fill{fill:#0d9488}
.area{opacity:.13}
.limit{stroke:#dc2626;stroke-width:1.75;stroke-dasharray:7 4}
.limit-text{fill:#b91c1c}
.mark{stroke:#9333ea;stroke-dasharray:2 3}
.mark-text{fill:#7e22ce;font-size:11px}
@media (prefers-color-scheme:dark){
text{fill:#a9b6c8}
.ground{fill:#0f172a;stroke:#27344a}
.title{fill:#f1f5f9}
.panel{fill:#d5deea}
.grid{stroke:#1f2c42}
.axis{stroke:#64748b}
.private{stroke:#60a5fa}.private-fill{fill:#60a5fa}
.used{stroke:#2dd4bf}.used-fill{fill:#2dd4bf}
.area{opacity:.18}
.limit{stroke:#f87171}
.limit-text{fill:#fca5a5}
.mark{stroke:#c084fc}
.mark-text{fill:#d8b4fe}
}`;

/** The chart as one SVG document. Panels without points say so. */
export function drawChart(chart: Chart): string {
  const height = TOP + chart.panels.length * (PANEL + GAP) - GAP + BOTTOM;
  const xs = chart.panels.flatMap((panel) => panel.series.points.map((point) => point.x));
  const times = [...xs, ...chart.marks.map((mark) => mark.x)].filter(Number.isFinite);
  const last = times.reduce((max, x) => Math.max(max, x), 0);
  // Some space on the right keeps the last point off the edge.
  const span = last > 0 ? last * 1.02 : 1;
  const toX = (x: number) => LEFT + (x / span) * (WIDTH - LEFT - RIGHT);
  const bottom = height - BOTTOM;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>${escaped(chart.title)}</title>`,
    `<desc>${escaped(chart.description)}</desc>`,
    `<style>${STYLE}</style>`,
    `<rect class="ground" x=".5" y=".5" width="${WIDTH - 1}" height="${height - 1}" rx="8"/>`,
    `<text class="title" x="${LEFT - 44}" y="28">${escaped(chart.title)}</text>`,
    ...legend(chart),
    ...chart.panels.flatMap((panel, index) =>
      drawPanel(panel, TOP + index * (PANEL + GAP), span, toX),
    ),
    ...drawMarks(chart.marks, toX, bottom),
    ...timeAxis(span, toX, bottom),
    '</svg>',
    '',
  ].join('\n');
}

function legend(chart: Chart): readonly string[] {
  const out: string[] = [];
  let x = LEFT - 44;
  const entry = (className: string, name: string) => {
    out.push(`<line class="${className}" x1="${x}" y1="45" x2="${x + 22}" y2="45"/>`);
    out.push(`<text x="${x + 28}" y="49">${escaped(name)}</text>`);
    x += 28 + Math.ceil(name.length * 6.4) + 22;
  };
  for (const { series, limit } of chart.panels) {
    entry(`line ${series.style}`, series.name);
    if (limit !== undefined) entry('limit', limit.name);
  }
  if (chart.marks.length > 0) entry('mark', chart.markName);
  return out;
}

function drawPanel(
  panel: Panel,
  top: number,
  span: number,
  toX: (x: number) => number,
): readonly string[] {
  const { series, limit } = panel;
  const points = series.points.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y));
  const highest = points.reduce((max, point) => Math.max(max, point.y), limit?.y ?? 0);
  const step = niceStep(highest > 0 ? highest * 1.08 : 1, 4);
  const ceiling = step * Math.max(1, Math.ceil((highest * 1.08) / step));
  const bottom = top + PANEL;
  const toY = (y: number) => bottom - (y / ceiling) * PANEL;
  const out = [
    `<text class="panel" x="${LEFT - 44}" y="${top - 22}">${escaped(panel.title)}</text>`,
  ];
  for (let level = 0; level <= ceiling + step / 2; level += step) {
    const y = round(toY(level));
    const kind = level === 0 ? 'axis' : 'grid';
    out.push(`<line class="${kind}" x1="${LEFT}" y1="${y}" x2="${WIDTH - RIGHT}" y2="${y}"/>`);
    out.push(`<text x="${LEFT - 8}" y="${y + 4}" text-anchor="end">${atStep(level, step)}</text>`);
  }
  for (const x of ticks(span)) {
    const at = round(toX(x));
    out.push(`<line class="grid" x1="${at}" y1="${top}" x2="${at}" y2="${bottom}"/>`);
  }
  out.push(...drawSeries(series.style, points, toX, toY, top));
  if (limit !== undefined) {
    const y = round(toY(limit.y));
    out.push(`<line class="limit" x1="${LEFT}" y1="${y}" x2="${WIDTH - RIGHT}" y2="${y}"/>`);
    out.push(
      `<text class="limit-text" x="${LEFT + 8}" y="${y + 16}">${escaped(limit.name)} ${plain(Math.round(limit.y))} MB</text>`,
    );
  }
  return out;
}

function drawSeries(
  style: SeriesStyle,
  points: readonly Point[],
  toX: (x: number) => number,
  toY: (y: number) => number,
  top: number,
): readonly string[] {
  const places = perPixel(points.map(({ x, y }) => ({ x: round(toX(x)), y: round(toY(y)) })));
  const first = places[0];
  const last = places.at(-1);
  if (first === undefined || last === undefined) {
    const middle = round((LEFT + WIDTH - RIGHT) / 2);
    return [`<text x="${middle}" y="${top + PANEL / 2}" text-anchor="middle">no readings</text>`];
  }
  const path = places.map(({ x, y }) => `${x},${y}`).join(' ');
  const bottom = top + PANEL;
  const line =
    places.length === 1
      ? []
      : [
          `<polygon class="area ${style}-fill" points="${first.x},${bottom} ${path} ${last.x},${bottom}"/>`,
          `<polyline class="line ${style}" points="${path}"/>`,
        ];
  const radius = places.length === 1 ? 4 : 2.4;
  const dots = places.length > MAX_DOTS ? [] : places;
  return [
    ...line,
    ...dots.map(({ x, y }) => `<circle class="${style}-fill" cx="${x}" cy="${y}" r="${radius}"/>`),
  ];
}

/** Of the points on one pixel column: first, lowest, highest and last. More would not be visible. */
function perPixel(places: readonly Point[]): readonly Point[] {
  if (places.length <= WIDTH) return places;
  const pixels = new Map<number, Point[]>();
  for (const place of places) {
    const x = Math.round(place.x);
    const pixel = pixels.get(x);
    if (pixel === undefined) pixels.set(x, [place]);
    else pixel.push(place);
  }
  return [...pixels.values()].flatMap((pixel) => {
    const by = (better: (a: number, b: number) => boolean) =>
      pixel.reduce((best, one) => (better(one.y, best.y) ? one : best));
    const kept = new Set([pixel[0], by((a, b) => a < b), by((a, b) => a > b), pixel.at(-1)]);
    return pixel.filter((place) => kept.has(place));
  });
}

function drawMarks(
  marks: readonly Mark[],
  toX: (x: number) => number,
  bottom: number,
): readonly string[] {
  const out: string[] = [];
  let labelled = Number.NEGATIVE_INFINITY;
  let drawn = Number.NEGATIVE_INFINITY;
  for (const mark of [...marks].sort((a, b) => a.x - b.x)) {
    const x = round(toX(mark.x));
    if (x - drawn < LINE_ROOM) continue;
    drawn = x;
    out.push(`<line class="mark" x1="${x}" y1="${TOP - 4}" x2="${x}" y2="${bottom}"/>`);
    const room = LABEL_ROOM + mark.label.length * 3;
    if (x - labelled < room) continue;
    labelled = x;
    const anchor = x > WIDTH - RIGHT - room ? 'end' : 'middle';
    out.push(
      `<text class="mark-text" x="${x}" y="${TOP - 8}" text-anchor="${anchor}">${escaped(mark.label)}</text>`,
    );
  }
  return out;
}

function timeAxis(span: number, toX: (x: number) => number, bottom: number): readonly string[] {
  const out = ticks(span).map(
    (x) =>
      `<text x="${round(toX(x))}" y="${bottom + 18}" text-anchor="middle">${atStep(x, niceStep(span, 8))}</text>`,
  );
  const middle = round((LEFT + WIDTH - RIGHT) / 2);
  out.push(`<text x="${middle}" y="${bottom + 38}" text-anchor="middle">time in seconds</text>`);
  return out;
}

function ticks(span: number): readonly number[] {
  const step = niceStep(span, 8);
  return Array.from({ length: Math.floor(span / step + 1e-9) + 1 }, (_, index) => index * step);
}

/** A step of 1, 2 or 5 times a power of ten, for about `wanted` steps up to `top`. */
function niceStep(top: number, wanted: number): number {
  const raw = top / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const lead = raw / power;
  return power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10);
}

/** The labels of an axis, with as many digits as its step needs. */
function atStep(value: number, step: number): string {
  const places = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const digits = { minimumFractionDigits: places, maximumFractionDigits: places };
  return value.toLocaleString('en-US', digits);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
