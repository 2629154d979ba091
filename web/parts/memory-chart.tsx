import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { dayPicture, machinePicture, processesPicture, type View } from '../chart/layers.js';
import { marksNear } from '../chart/mark-lane.js';
import { MemoryPlot, type Range } from '../chart/plot.js';
import { Tooltip } from '../chart/tooltip.js';
import type { Live } from '../data/live.js';
import { useLive } from '../data/use-live.js';
import { onThemeChange } from '../theme.js';
import { Panel } from './panel.js';

const WINDOWS = [
  { name: '5 min', seconds: 300 },
  { name: '30 min', seconds: 1800 },
  { name: '24 h', seconds: 86_400 },
] as const;
const DAY_SECONDS = 86_400;
/** A minute has just ended when it is asked for. */
const DAY_REFRESH_MS = 60_000;
const DAY_GAP_SECONDS = 150;

/** Where less is known than the window holds, what is known fills it; but not ten seconds of it. */
const MIN_SECONDS = 20;

interface Point {
  readonly left: number;
  readonly time: number;
}

/** Memory over time, by process or of the machine, with what happened. */
export function MemoryChart() {
  const live = useLive();
  const [view, setView] = useState<View>('processes');
  const [windowSeconds, setWindow] = useState(300);
  const [zoom, setZoom] = useState<Range | undefined>(undefined);
  const [point, setPoint] = useState<Point | undefined>(undefined);
  const canvas = useRef<HTMLDivElement>(null);
  const plot = useRef<MemoryPlot | undefined>(undefined);
  const wantsDay = windowSeconds === DAY_SECONDS;
  // A server that has just been started has seconds only.
  const isDay = wantsDay && live.history.minutes.length > 1;
  const to = live.history.seconds.lastTime || Date.now() / 1000;
  const range = zoom ?? {
    from: Math.max(to - windowSeconds, Math.min(firstTime(live, isDay), to - MIN_SECONDS)),
    to,
  };
  usePlot(canvas, plot, setZoom, setPoint);
  useDay(live, wantsDay);
  useLayoutEffect(() =>
    plot.current?.show(pictureOf(live, view, isDay, range), range, live.marks.all),
  );

  const zoomBy = (factor: number) => {
    const middle = zoom === undefined ? range.to : (range.from + range.to) / 2;
    const half = ((range.to - range.from) * factor) / 2;
    const end = zoom === undefined ? range.to : middle + half;
    const from = Math.max(end - 2 * half, to - DAY_SECONDS);
    if (end - from >= 5) setZoom({ from, to: end });
  };
  const moveBy = (share: number) => {
    const by = (range.to - range.from) * share;
    const end = Math.min(to, range.to + by);
    setZoom({ from: end - (range.to - range.from), to: end });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const act = KEYS[event.key];
    if (act === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act({ zoomBy, moveBy, now: () => setZoom(undefined) });
  };
  const bounds = plot.current?.plot;
  const near = point && bounds ? marksNear(bounds, live.marks.all, point.left) : [];
  const leftOfPlot = bounds === undefined ? 0 : bounds.bbox.left / devicePixelRatio;
  return (
    <Panel title="Memory over time" area="chart">
      <div class="chart-controls">
        <Choice
          label="What is drawn"
          options={[
            { name: 'by process', value: 'processes' as View },
            { name: 'machine and line', value: 'machine' as View },
          ]}
          value={view}
          choose={setView}
        />
        <Choice
          label="Length of time"
          options={WINDOWS.map(({ name, seconds }) => ({ name, value: seconds as number }))}
          value={zoom === undefined ? windowSeconds : undefined}
          choose={(seconds) => {
            setWindow(seconds);
            setZoom(undefined);
          }}
        />
        <fieldset class="choice">
          <legend class="visually-hidden">Zoom</legend>
          <button type="button" aria-label="Earlier" onClick={() => moveBy(-0.5)}>
            ‹
          </button>
          <button type="button" aria-label="Zoom in" onClick={() => zoomBy(0.5)}>
            +
          </button>
          <button type="button" aria-label="Zoom out" onClick={() => zoomBy(2)}>
            −
          </button>
          <button type="button" aria-label="Later" onClick={() => moveBy(0.5)}>
            ›
          </button>
          <button type="button" disabled={zoom === undefined} onClick={() => setZoom(undefined)}>
            now
          </button>
        </fieldset>
      </div>
      <section
        class="chart"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: its keys zoom and move, as its label says
        tabIndex={0}
        aria-label={`Memory over time in MB. Plus and minus zoom, the arrow keys move, 0 shows the newest. The figures are in the table of processes, what happened is in the log.`}
        data-view={view}
        data-from={range.from.toFixed(2)}
        data-to={range.to.toFixed(2)}
        onKeyDown={onKeyDown}
      >
        <div class="chart-canvas" ref={canvas} />
        {point !== undefined && bounds !== undefined && (
          <Tooltip
            history={live.history}
            view={view}
            time={point.time}
            left={point.left + leftOfPlot}
            flip={point.left > bounds.bbox.width / devicePixelRatio / 2}
            marks={near}
          />
        )}
      </section>
      <p class="hint">
        Drag to zoom, double-click for the newest; point at a sign for its receipt. Solid is private
        memory, pale is shared.
      </p>
    </Panel>
  );
}

function firstTime({ history }: Live, isDay: boolean): number {
  const { length } = isDay ? history.minutes : history.seconds;
  return length === 0 ? 0 : (isDay ? history.minutes : history.seconds).at(0, 0);
}

interface Moves {
  readonly zoomBy: (factor: number) => void;
  readonly moveBy: (share: number) => void;
  readonly now: () => void;
}

const KEYS: Readonly<Record<string, (moves: Moves) => void>> = {
  '+': ({ zoomBy }) => zoomBy(0.5),
  '=': ({ zoomBy }) => zoomBy(0.5),
  '-': ({ zoomBy }) => zoomBy(2),
  ArrowLeft: ({ moveBy }) => moveBy(-0.25),
  ArrowRight: ({ moveBy }) => moveBy(0.25),
  '0': ({ now }) => now(),
  Escape: ({ now }) => now(),
};

function pictureOf({ history }: Live, view: View, isDay: boolean, { from }: Range) {
  if (isDay && view === 'machine') return machinePicture(history.minutes, from, DAY_GAP_SECONDS);
  if (isDay) return dayPicture(history.minutes, from, DAY_GAP_SECONDS);
  if (view === 'machine') return machinePicture(history.seconds, from);
  return processesPicture(history, from);
}

function usePlot(
  canvas: { readonly current: HTMLElement | null },
  plot: { current: MemoryPlot | undefined },
  onZoom: (range: Range | undefined) => void,
  onPoint: (next: (before: Point | undefined) => Point | undefined) => void,
): void {
  useLayoutEffect(() => {
    if (canvas.current === null) return undefined;
    // New data moves the plot's pointer too: what stays where it is must not draw the page again.
    const onPointOnce = (point: Point | undefined) =>
      onPoint((before) => (isSame(before, point) ? before : point));
    const made = new MemoryPlot(canvas.current, { onZoom, onPoint: onPointOnce });
    plot.current = made;
    const observer = new ResizeObserver(() => made.resize());
    observer.observe(canvas.current);
    const forget = onThemeChange(() => made.recolour());
    return () => {
      forget();
      observer.disconnect();
      made.remove();
      plot.current = undefined;
    };
  }, []);
}

function isSame(a: Point | undefined, b: Point | undefined): boolean {
  return a?.left === b?.left && a?.time === b?.time;
}

function useDay(live: Live, isShown: boolean): void {
  useEffect(() => {
    if (!isShown) return undefined;
    // What fails is asked for again with the next minute; that the server is away is said elsewhere.
    const fetchDay = () => void live.fetchDay().catch(() => undefined);
    fetchDay();
    const timer = setInterval(fetchDay, DAY_REFRESH_MS);
    return () => clearInterval(timer);
  }, [live, isShown]);
}

function Choice<T>({
  label,
  options,
  value,
  choose,
}: {
  readonly label: string;
  readonly options: readonly { readonly name: string; readonly value: T }[];
  readonly value: T | undefined;
  readonly choose: (value: T) => void;
}) {
  return (
    <fieldset class="choice">
      <legend class="visually-hidden">{label}</legend>
      {options.map((option) => (
        <button
          key={option.name}
          type="button"
          aria-pressed={option.value === value}
          onClick={() => choose(option.value)}
        >
          {option.name}
        </button>
      ))}
    </fieldset>
  );
}
