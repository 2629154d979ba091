import uPlot from 'uplot';
import { clock } from '../data/format.js';
import type { Mark } from '../data/wire.js';
import { Colours } from './colours.js';
import type { ChartData } from './layers.js';
import { drawMarkLines, LANE_HEIGHT_PX } from './mark-lines.js';
import type { TimeRange } from './time-range.js';

/** Where the plot lies within the chart, in CSS pixels. */
export interface PlotPlace {
  readonly leftPx: number;
  readonly widthPx: number;
}

export interface PlotListener {
  /** The user has chosen a range, or wants the newest again (`undefined`). */
  readonly onZoom: (range: TimeRange | undefined) => void;
  /** The pointer, in CSS pixels and in seconds since 1970; undefined when it is not over the plot. */
  readonly onPoint: (point: { readonly left: number; readonly time: number } | undefined) => void;
  /** The plot was drawn at another place than before. */
  readonly onPlace: (place: PlotPlace) => void;
}

/** A shorter range would show two readings at most. */
const MIN_RANGE_SECONDS = 3;

/** The chart's canvas. uPlot cannot change its series, so it is made again when the layers change. */
export class MemoryPlot {
  readonly #root: HTMLElement;
  readonly #listener: PlotListener;
  readonly #colours: Colours;
  #plot: uPlot | undefined;
  #key = '';
  #marks: readonly Mark[] = [];
  #activeMarks: readonly Mark[] = [];
  #range: TimeRange = { from: 0, to: 1 };
  #place: PlotPlace = { leftPx: 0, widthPx: 0 };

  constructor(root: HTMLElement, listener: PlotListener) {
    this.#root = root;
    this.#listener = listener;
    this.#colours = new Colours(root);
  }

  get plot(): uPlot | undefined {
    return this.#plot;
  }

  /** @param activeMarks those that are looked at: they get a line through the plot */
  show(
    data: ChartData,
    range: TimeRange,
    marks: readonly Mark[],
    activeMarks: readonly Mark[],
  ): void {
    this.#marks = marks;
    this.#activeMarks = activeMarks;
    this.#range = range;
    if (this.#plot === undefined || this.#key !== data.key) this.#make(data);
    else this.#plot.setData(data.data, true);
  }

  resize(): void {
    const { width, height } = this.#size();
    if (width > 0) this.#plot?.setSize({ width, height });
  }

  /** To be called when the theme has changed; the next `show` draws in its colours. */
  recolour(): void {
    this.#colours.forget();
    this.#key = '';
  }

  remove(): void {
    this.#plot?.destroy();
    this.#plot = undefined;
    this.#colours.remove();
  }

  #size() {
    return { width: this.#root.clientWidth, height: this.#root.clientHeight };
  }

  #make(data: ChartData): void {
    this.#plot?.destroy();
    this.#key = data.key;
    this.#plot = new uPlot(this.#options(data), data.data, this.#root);
  }

  #options({ layers }: ChartData): uPlot.Options {
    const colours = this.#colours;
    const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
    const axis = {
      stroke: colours.of('--ink-soft'),
      font: `${Math.round(rem * 0.8)}px Barlow, system-ui, sans-serif`,
      grid: { stroke: colours.of('--rule-soft'), width: 1 },
      ticks: { show: false },
    };
    return {
      ...this.#size(),
      padding: [LANE_HEIGHT_PX, 30, 0, 0],
      legend: { show: false },
      cursor: {
        drag: { x: true, y: false, setScale: false, dist: 6 },
        points: { show: false },
        bind: {
          dblclick: () => () => {
            this.#listener.onZoom(undefined);
            return null;
          },
        },
      },
      scales: {
        x: { range: () => [this.#range.from, this.#range.to] },
        y: { range: (_plot, _min, max) => [0, niceTop(max)] },
      },
      axes: [
        {
          ...axis,
          space: rem * 5.5,
          size: rem * 1.9,
          values: (_plot, values) => values.map((at) => clock(new Date(at * 1000).toISOString())),
        },
        {
          ...axis,
          size: rem * 3.2,
          values: (_plot, values) => values.map((value) => value.toLocaleString('en-US')),
        },
      ],
      series: [
        {},
        ...layers.map((layer) => ({
          label: layer.label,
          stroke: colours.of(layer.stroke),
          width: layer.width,
          ...(layer.fill === undefined ? {} : { fill: colours.of(layer.fill) }),
          ...(layer.dashed === undefined ? {} : { dash: [8, 5] }),
          points: { show: false },
        })),
      ],
      hooks: {
        draw: [
          (plot) => drawMarkLines(plot, this.#marks, this.#activeMarks, colours),
          (plot) => this.#tellPlace(plot),
        ],
        setSelect: [(plot) => this.#select(plot)],
        setCursor: [(plot) => this.#point(plot)],
      },
    };
  }

  #select(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width === 0) return;
    const from = plot.posToVal(left, 'x');
    const to = plot.posToVal(left + width, 'x');
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    if (to - from >= MIN_RANGE_SECONDS) this.#listener.onZoom({ from, to });
  }

  #tellPlace({ bbox }: uPlot): void {
    const leftPx = bbox.left / devicePixelRatio;
    const widthPx = bbox.width / devicePixelRatio;
    if (leftPx === this.#place.leftPx && widthPx === this.#place.widthPx) return;
    this.#place = { leftPx, widthPx };
    this.#listener.onPlace(this.#place);
  }

  #point(plot: uPlot): void {
    const { left } = plot.cursor;
    if (left === undefined || left < 0) this.#listener.onPoint(undefined);
    else this.#listener.onPoint({ left, time: plot.posToVal(left, 'x') });
  }
}

/** A round value above the highest, so that the axis seldom changes. */
function niceTop(max: number | null): number {
  const wanted = Math.max(1, (max ?? 0) * 1.12);
  const power = 10 ** Math.floor(Math.log10(wanted));
  const steps = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];
  return power * (steps.find((step) => step * power >= wanted) ?? 10);
}
