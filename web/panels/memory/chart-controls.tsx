import type { View } from '../../chart/layers.js';
import { DAY_SECONDS } from '../../chart/time-range.js';
import { Choice } from '../../ui/choice.js';

const VIEWS: readonly { readonly name: string; readonly value: View }[] = [
  { name: 'by process', value: 'processes' },
  { name: 'machine and line', value: 'machine' },
];
const WINDOWS: readonly { readonly name: string; readonly value: number }[] = [
  { name: '5 min', value: 300 },
  { name: '30 min', value: 1800 },
  { name: '24 h', value: DAY_SECONDS },
];

/** What the buttons and keys of the chart do. */
export interface Navigation {
  readonly isZoomed: boolean;
  readonly zoomBy: (factor: number) => void;
  /** By a share of the shown length; negative is earlier. */
  readonly moveBy: (share: number) => void;
  /** Back to the newest readings. */
  readonly showNow: () => void;
}

/** What is drawn, for how long, and which part of it. */
export function ChartControls({
  view,
  setView,
  windowSeconds,
  setWindow,
  navigation: { isZoomed, zoomBy, moveBy, showNow },
}: {
  readonly view: View;
  readonly setView: (view: View) => void;
  readonly windowSeconds: number;
  readonly setWindow: (seconds: number) => void;
  readonly navigation: Navigation;
}) {
  return (
    <div class="chart-controls">
      <Choice label="What is drawn" options={VIEWS} value={view} choose={setView} />
      <Choice
        label="Length of time"
        options={WINDOWS}
        value={isZoomed ? undefined : windowSeconds}
        choose={setWindow}
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
        <button type="button" disabled={!isZoomed} onClick={showNow}>
          now
        </button>
      </fieldset>
    </div>
  );
}

const KEYS: Readonly<Record<string, (navigation: Navigation) => void>> = {
  '+': ({ zoomBy }) => zoomBy(0.5),
  '=': ({ zoomBy }) => zoomBy(0.5),
  '-': ({ zoomBy }) => zoomBy(2),
  ArrowLeft: ({ moveBy }) => moveBy(-0.25),
  ArrowRight: ({ moveBy }) => moveBy(0.25),
  '0': ({ showNow }) => showNow(),
  Escape: ({ showNow }) => showNow(),
};

export function onChartKey(event: KeyboardEvent, navigation: Navigation): void {
  const act = KEYS[event.key];
  if (act === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  act(navigation);
}
