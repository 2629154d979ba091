import { count, mb, percent } from '../../data/format.js';
import { useLive } from '../../data/use-live.js';
import type { State } from '../../data/wire.js';

/** Percent of the gauge's height above the top of its scale. */
const HEADROOM_PERCENT = 9;
/** A line below this share of the machine's memory would lie at the bottom, where nobody can read it. */
const MIN_LINE_SHARE = 0.3;
/** Steps of the scale in MB; the smallest that gives few enough ticks is taken. */
const STEPS_MB = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];
const MAX_TICKS = 7;
const MB_PER_GB = 1024;

/**
 * Memory used now, as the level against a ship's side with its load line. It is meant to be read from
 * across a room.
 */
export function LoadLineGauge() {
  const { state, connection } = useLive();
  if (state === undefined) {
    return (
      <section class="gauge gauge-empty" aria-label="Memory now">
        <p>
          {connection.state === 'lost'
            ? 'No figures were received yet.'
            : 'Waiting for the first reading.'}
        </p>
      </section>
    );
  }
  const { server_total_mb: totalMb, server_used_mb: usedMb, load_line_mb: lineMb } = state;
  const topMb = scaleTopMb(state);
  const percentOf = (valueMb: number) =>
    (Math.min(1, valueMb / topMb) * (100 - HEADROOM_PERCENT)).toFixed(2);
  const height = (valueMb: number) => `${percentOf(valueMb)}%`;
  return (
    <section class="gauge" aria-label="Memory now" data-pressure={state.pressure}>
      <meter
        class="visually-hidden"
        aria-label="Memory used on this machine, in MB"
        min={0}
        max={Math.round(totalMb)}
        value={Math.round(usedMb)}
      />
      <div class="gauge-tank" aria-hidden="true" style={{ '--line': percentOf(lineMb) }}>
        <div class="gauge-level" style={{ height: height(usedMb) }}>
          <svg
            class="gauge-surface"
            viewBox="0 0 1200 12"
            preserveAspectRatio="none"
            aria-hidden="true"
          >
            <path d={WAVES} />
          </svg>
        </div>
        <Ticks topMb={topMb} height={height} />
        <div class="load-line">
          <span class="load-line-name">load line</span>
        </div>
        <svg class="load-line-mark" viewBox="0 0 120 60" aria-hidden="true">
          <circle cx="60" cy="30" r="21" />
          <path d="M8 30h104" />
          <text x="17" y="22">
            P
          </text>
          <text x="103" y="22">
            L
          </text>
        </svg>
      </div>
      <Figures state={state} />
    </section>
  );
}

function Figures({ state }: { readonly state: State }) {
  const { server_total_mb: totalMb, server_used_mb: usedMb, load_line_mb: lineMb } = state;
  const roomMb = lineMb - usedMb;
  return (
    <div class="gauge-figures">
      <p class="gauge-used">
        <strong>{count(usedMb)}</strong> <span>MB used</span>
      </p>
      <p class="gauge-of-line">
        {percent(usedMb / lineMb)} of the load line, {count(lineMb)} MB
      </p>
      <p class="gauge-room">
        {roomMb >= 0 ? `${mb(roomMb)} MB below the line` : `${mb(-roomMb)} MB over the line`}
        {', '}
        {count(totalMb)} MB in all
      </p>
      <p class="pressure" role="status">
        <span class="visually-hidden">Memory pressure: </span>
        {state.pressure}
      </p>
    </div>
  );
}

function Ticks({
  topMb,
  height,
}: {
  readonly topMb: number;
  readonly height: (valueMb: number) => string;
}) {
  const stepMb = STEPS_MB.find((step) => topMb / step <= MAX_TICKS) ?? topMb / MAX_TICKS;
  const ticks = Array.from({ length: Math.floor(topMb / stepMb) }, (_, at) => (at + 1) * stepMb);
  return (
    <div class="gauge-ticks">
      {ticks.map((valueMb) => (
        <span key={valueMb} style={{ bottom: height(valueMb) }}>
          {valueMb >= MB_PER_GB ? `${count(valueMb / MB_PER_GB)} GB` : `${count(valueMb)} MB`}
        </span>
      ))}
    </div>
  );
}

/** The machine's memory; less where the load line is far below it, as in a small share of a large machine. */
function scaleTopMb({
  server_total_mb: totalMb,
  server_used_mb: usedMb,
  load_line_mb: lineMb,
}: State) {
  if (lineMb >= totalMb * MIN_LINE_SHARE) return Math.max(totalMb, lineMb);
  return Math.min(totalMb, Math.max(lineMb, usedMb) * 1.25);
}

/** Gentle waves across the surface, closed at the bottom. */
const WAVES = `M0 8${Array.from({ length: 12 }, () => 'q25 -7 50 0t50 0').join('')}V12H0Z`;
