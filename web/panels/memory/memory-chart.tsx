import { useLayoutEffect, useState } from 'preact/hooks';
import { dayData, machineData, processData, type View } from '../../chart/layers.js';
import { groupMarks } from '../../chart/mark-groups.js';
import { MarkLane } from '../../chart/mark-lane.js';
import { marksNear } from '../../chart/mark-lines.js';
import { DAY_SECONDS, latestRange, moved, type TimeRange, zoomed } from '../../chart/time-range.js';
import { Tooltip } from '../../chart/tooltip.js';
import type { LiveData } from '../../data/live-data.js';
import { useLive } from '../../data/use-live.js';
import type { Mark } from '../../data/wire.js';
import { Panel } from '../../ui/panel.js';
import { ChartControls, type Navigation, onChartKey } from './chart-controls.js';
import { useDay, useMemoryPlot } from './use-memory-plot.js';

const DEFAULT_SECONDS = 300;
/** Readings of a day are a minute apart. */
const DAY_GAP_SECONDS = 150;

/** Memory over time, by process or of the machine, with marks for what happened. */
export function MemoryChart() {
  const live = useLive();
  const [view, setView] = useState<View>('processes');
  const [activeMarks, setActiveMarks] = useState<readonly Mark[]>([]);
  const { range, isDay, windowSeconds, setWindow, setZoom, navigation } = useShownRange(live);
  const { canvas, plot, point, place } = useMemoryPlot(setZoom);
  useLayoutEffect(() =>
    plot.current?.show(dataOf(live, view, isDay, range), range, live.marks.all, activeMarks),
  );
  const bounds = plot.current?.plot;
  const groups = groupMarks(live.marks.all, { ...range, widthPx: place.widthPx });
  return (
    <Panel title="Memory over time">
      <ChartControls {...{ view, setView, windowSeconds, setWindow, navigation }} />
      <section
        class="chart"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: its keys zoom and move, as its label says
        tabIndex={0}
        aria-label="Memory over time in MB. Plus and minus zoom, the arrow keys move, 0 shows the newest. The figures are in the table of processes, what happened is in the list of events."
        data-view={view}
        data-from={range.from.toFixed(2)}
        data-to={range.to.toFixed(2)}
        onKeyDown={(event) => onChartKey(event, navigation)}
      >
        <div class="chart-canvas" ref={canvas} />
        <MarkLane groups={groups} leftPx={place.leftPx} onActive={setActiveMarks} />
        {point !== undefined && bounds !== undefined && (
          <Tooltip
            history={live.history}
            view={view}
            time={point.time}
            left={point.left + place.leftPx}
            flip={point.left > place.widthPx / 2}
            marks={marksNear(bounds, live.marks.all, point.left)}
          />
        )}
      </section>
      <p class="hint">
        Drag to zoom, double-click for the newest. Point at a symbol, or tap it, to see what
        happened. Solid is private memory, pale is shared.
      </p>
    </Panel>
  );
}

/** The stretch of time that is shown: the latest of a chosen length, or what was zoomed to. */
function useShownRange(live: LiveData) {
  const [windowSeconds, setWindowSeconds] = useState(DEFAULT_SECONDS);
  const [zoom, setZoom] = useState<TimeRange | undefined>(undefined);
  const wantsDay = windowSeconds === DAY_SECONDS;
  useDay(live, wantsDay);
  // A server that was just started has no minutes yet; its seconds are shown.
  const isDay = wantsDay && live.history.minutes.length > 1;
  const now = live.history.seconds.lastTime || Date.now() / 1000;
  const range = zoom ?? latestRange(windowSeconds, oldestTime(live, isDay), now);
  const setWindow = (seconds: number) => {
    setWindowSeconds(seconds);
    setZoom(undefined);
  };
  const navigation: Navigation = {
    isZoomed: zoom !== undefined,
    zoomBy: (factor) => setZoom(zoomed(range, factor, now) ?? zoom),
    moveBy: (share) => setZoom(moved(range, share, now)),
    showNow: () => setZoom(undefined),
  };
  return { range, isDay, windowSeconds, setWindow, setZoom, navigation };
}

function oldestTime({ history }: LiveData, isDay: boolean): number {
  const series = isDay ? history.minutes : history.seconds;
  return series.length === 0 ? 0 : series.at(0, 0);
}

function dataOf({ history }: LiveData, view: View, isDay: boolean, { from }: TimeRange) {
  if (isDay && view === 'machine') return machineData(history.minutes, from, DAY_GAP_SECONDS);
  if (isDay) return dayData(history.minutes, from, DAY_GAP_SECONDS);
  if (view === 'machine') return machineData(history.seconds, from);
  return processData(history, from);
}
