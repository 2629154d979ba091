import uPlot from 'uplot';
import { clock } from '../data/format.js';
import type { Mark } from '../data/wire.js';
import { Colours } from './colours.js';
import type { Picture } from './layers.js';
import { drawMarks, LANE_HEIGHT } from './mark-lane.js';

export interface Range {
  readonly from: number;
  readonly to: number;
}

export interface PlotListener {
  /** The user has chosen a range, or (`undefined`) wants the newest again. */
  readonly onZoom: (range: Range | undefined) => void;
  /** The pointer is here, in CSS pixels and in seconds; undefined where it is not over the plot. */
  readonly onPoint: (point: { readonly left: number; readonly time: number } | undefined) => void;
}

/** Below this a range shows nothing but two points. */
const MIN_RANGE_SECONDS = 3;

/** The chart on its canvas. It is made anew when its layers change, and else only given data. */
export class MemoryPlot {
  readonly #root: HTMLElement;
  readonly #listener: PlotListener;
  readonly #colours: Colours;
  #plot: uPlot | undefined;
  #key = '';
  #marks: readonly Mark[] = [];
  #range: Range = { from: 0, to: 1 };

  constructor(root: HTMLElement, listener: PlotListener) {
    this.#root = root;
    this.#listener = listener;
    this.#colours = new Colours(root);
  }

  get plot(): uPlot | undefined {
    return this.#plot;
  }

  show(picture: Picture, range: Range, marks: readonly Mark[]): void {
    this.#marks = marks;
    this.#range = range;
    if (this.#plot === undefined || this.#key !== picture.key) this.#make(picture);
    else this.#plot.setData(picture.data, true);
  }

  resize(): void {
    const { width, height } = this.#size();
    if (width > 0) this.#plot?.setSize({ width, height });
  }

  /** Light became dark, or the other way round. */
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

  #make(picture: Picture): void {
    this.#plot?.destroy();
    this.#key = picture.key;
    this.#plot = new uPlot(this.#options(picture), picture.data, this.#root);
  }

  #options({ layers }: Picture): uPlot.Options {
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
      padding: [LANE_HEIGHT, 30, 0, 0],
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
        draw: [(plot) => drawMarks(plot, this.#marks, colours)],
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

  #point(plot: uPlot): void {
    const { left } = plot.cursor;
    if (left === undefined || left < 0) this.#listener.onPoint(undefined);
    else this.#listener.onPoint({ left, time: plot.posToVal(left, 'x') });
  }
}

/** The next value with one or two digits above the highest, so that the axis seldom changes. */
function niceTop(max: number | null): number {
  const wanted = Math.max(1, (max ?? 0) * 1.12);
  const power = 10 ** Math.floor(Math.log10(wanted));
  const steps = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];
  return power * (steps.find((step) => step * power >= wanted) ?? 10);
}
