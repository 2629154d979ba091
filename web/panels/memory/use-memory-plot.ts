import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { MemoryPlot, type PlotPlace } from '../../chart/plot.js';
import type { TimeRange } from '../../chart/time-range.js';
import type { LiveData } from '../../data/live-data.js';
import { onThemeChange } from '../../theme.js';

/** A minute's reading is stored when the minute has ended. */
const DAY_REFRESH_MS = 60_000;

export interface Point {
  /** CSS pixels from the plot's left edge. */
  readonly left: number;
  /** Seconds since 1970. */
  readonly time: number;
}

/** A plot in the element of `canvas`, with where it lies and where the pointer is. */
export function useMemoryPlot(onZoom: (range: TimeRange | undefined) => void) {
  const canvas = useRef<HTMLDivElement>(null);
  const plot = useRef<MemoryPlot | undefined>(undefined);
  const [point, setPoint] = useState<Point | undefined>(undefined);
  const [place, setPlace] = useState<PlotPlace>({ leftPx: 0, widthPx: 0 });
  useLayoutEffect(() => {
    if (canvas.current === null) return undefined;
    // New data moves uPlot's cursor too; a point that stays where it is must not draw the page again.
    const onPoint = (next: Point | undefined) =>
      setPoint((before) => (isSame(before, next) ? before : next));
    const made = new MemoryPlot(canvas.current, { onZoom, onPoint, onPlace: setPlace });
    plot.current = made;
    const observer = new ResizeObserver(() => made.resize());
    observer.observe(canvas.current);
    const unsubscribe = onThemeChange(() => made.recolour());
    return () => {
      unsubscribe();
      observer.disconnect();
      made.remove();
      plot.current = undefined;
    };
  }, []);
  return { canvas, plot, point, place };
}

function isSame(a: Point | undefined, b: Point | undefined): boolean {
  return a?.left === b?.left && a?.time === b?.time;
}

/** Fetches the day's readings, again each minute, while they are shown. */
export function useDay(live: LiveData, isShown: boolean): void {
  useEffect(() => {
    if (!isShown) return undefined;
    // A failure is retried with the next minute; a lost connection is shown by the banner.
    const fetchDay = () => void live.fetchDay().catch(() => undefined);
    fetchDay();
    const timer = setInterval(fetchDay, DAY_REFRESH_MS);
    return () => clearInterval(timer);
  }, [live, isShown]);
}
