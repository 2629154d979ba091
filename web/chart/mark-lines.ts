import type uPlot from 'uplot';
import type { Mark, MarkKind } from '../data/wire.js';
import type { Colours } from './colours.js';
import { secondsOf } from './mark-groups.js';

/** Height of the lane above the plot, where the marks' symbols stand, in CSS pixels. */
export const LANE_HEIGHT_PX = 34;
/** A mark is at the pointer if it is this near, in CSS pixels. */
const REACH_PX = 7;
const TICK_PX = 7;

export const MARK_COLOURS: Readonly<Record<MarkKind, string>> = {
  session_ended: '--mark-session',
  model_loaded: '--mark-load',
  model_unloaded: '--mark-unload',
  worker_recycled: '--mark-recycle',
  receipt: '--mark-receipt',
};

/** Draws a tick at the time of each mark, and a line through the plot for those that are looked at. */
export function drawMarkLines(
  plot: uPlot,
  marks: readonly Mark[],
  active: readonly Mark[],
  colours: Colours,
): void {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  const lined = new Set(active.map(({ id }) => id));
  ctx.save();
  ctx.lineWidth = ratio * 1.5;
  for (const { mark, x } of marksInside(plot, marks)) {
    const left = Math.round(bbox.left + x * ratio) + 0.5;
    const isLined = lined.has(mark.id);
    ctx.strokeStyle = colours.of(MARK_COLOURS[mark.kind]);
    ctx.setLineDash(isLined ? [3 * ratio, 3 * ratio] : []);
    ctx.beginPath();
    ctx.moveTo(left, bbox.top - TICK_PX * ratio);
    ctx.lineTo(left, isLined ? bbox.top + bbox.height : bbox.top);
    ctx.stroke();
  }
  ctx.restore();
}

/** The marks at the pointer, the newest first. */
export function marksNear(plot: uPlot, marks: readonly Mark[], left: number): readonly Mark[] {
  return marksInside(plot, marks)
    .filter(({ x }) => Math.abs(x - left) <= REACH_PX)
    .map(({ mark }) => mark)
    .reverse();
}

function marksInside(plot: uPlot, marks: readonly Mark[]) {
  const { min, max } = plot.scales.x ?? {};
  return marks.flatMap((mark) => {
    const at = secondsOf(mark);
    if (min === undefined || max === undefined || at < min || at > max) return [];
    return [{ mark, x: plot.valToPos(at, 'x') }];
  });
}
