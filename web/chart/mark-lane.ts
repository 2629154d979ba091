import type uPlot from 'uplot';
import type { Mark, MarkKind } from '../data/wire.js';
import type { Colours } from './colours.js';

/** Height of the lane above the plot in which the marks' signs stand, in CSS pixels. */
export const LANE_HEIGHT = 26;
/** A mark is under the pointer if it is this near, in CSS pixels. */
const REACH = 7;
/** Signs in one plot with a line through the plot; where there are more, lines would hide it. */
const MAX_LINES = 60;
const SIZE = 5.5;

export const MARK_COLOURS: Readonly<Record<MarkKind, string>> = {
  session_ended: '--mark-session',
  model_loaded: '--mark-load',
  model_unloaded: '--mark-unload',
  worker_recycled: '--mark-recycle',
  receipt: '--mark-receipt',
};

/** Draws the marks that lie in the plot's range: a sign above, and a line down. */
export function drawMarks(plot: uPlot, marks: readonly Mark[], colours: Colours): void {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  const inside = marksInside(plot, marks);
  ctx.save();
  ctx.lineWidth = ratio;
  for (const { mark, x } of inside) {
    const colour = colours.of(MARK_COLOURS[mark.kind]);
    const left = Math.round(bbox.left + x * ratio) + 0.5;
    if (inside.length <= MAX_LINES) {
      ctx.strokeStyle = colour;
      ctx.globalAlpha = 0.55;
      ctx.setLineDash([2 * ratio, 3 * ratio]);
      ctx.beginPath();
      ctx.moveTo(left, bbox.top - 4 * ratio);
      ctx.lineTo(left, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.globalAlpha = 1;
    ctx.setLineDash([]);
    drawSign(ctx, mark.kind, left, bbox.top - (LANE_HEIGHT / 2) * ratio, SIZE * ratio, colour);
  }
  ctx.restore();
}

/** The marks under the pointer, the newest first. */
export function marksNear(plot: uPlot, marks: readonly Mark[], left: number): readonly Mark[] {
  return marksInside(plot, marks)
    .filter(({ x }) => Math.abs(x - left) <= REACH)
    .map(({ mark }) => mark)
    .reverse();
}

function marksInside(plot: uPlot, marks: readonly Mark[]) {
  const { min, max } = plot.scales.x ?? {};
  return marks.flatMap((mark) => {
    const at = Date.parse(mark.at) / 1000;
    if (min === undefined || max === undefined || at < min || at > max) return [];
    return [{ mark, x: plot.valToPos(at, 'x') }];
  });
}

/** Signs differ in shape, not in colour alone. */
function drawSign(
  ctx: CanvasRenderingContext2D,
  kind: MarkKind,
  x: number,
  y: number,
  size: number,
  colour: string,
): void {
  ctx.fillStyle = colour;
  ctx.strokeStyle = colour;
  ctx.lineWidth = size / 3;
  ctx.beginPath();
  if (kind === 'session_ended') {
    // The Plimsoll mark itself: what a session took is given back to the line.
    ctx.arc(x, y, size * 0.75, 0, Math.PI * 2);
    ctx.moveTo(x - size * 1.4, y);
    ctx.lineTo(x + size * 1.4, y);
    ctx.stroke();
    return;
  }
  if (kind === 'receipt') {
    ctx.arc(x, y, size * 0.6, 0, Math.PI * 2);
    ctx.fill();
    return;
  }
  if (kind === 'worker_recycled') {
    ctx.moveTo(x, y - size);
    ctx.lineTo(x + size, y);
    ctx.lineTo(x, y + size);
    ctx.lineTo(x - size, y);
  } else {
    // Up is loaded, down is unloaded.
    const tip = kind === 'model_loaded' ? -size : size;
    ctx.moveTo(x, y + tip);
    ctx.lineTo(x + size, y - tip * 0.8);
    ctx.lineTo(x - size, y - tip * 0.8);
  }
  ctx.closePath();
  ctx.fill();
}
