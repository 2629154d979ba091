import { count, mb, percent } from '../data/format.js';
import { useLive } from '../data/use-live.js';
import type { State } from '../data/wire.js';

/** Room above the machine's memory, in percent of the hull: the hull goes on above the last mark. */
const FREEBOARD = 7;
/** Steps of the draught marks in MB: the smallest that gives few enough. */
const STEPS = [64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];
const MAX_STEPS = 7;

/**
 * Memory as a ship's side: the water is what is used, the mark is the load line, the figures on the
 * right are draught marks. It is read from across a room.
 */
export function Hull() {
  const { state, link } = useLive();
  if (state === undefined) {
    return (
      <section class="hull hull-empty" aria-label="Memory now">
        <p>
          {link.state === 'away' ? 'There are no figures yet.' : 'Waiting for the first reading.'}
        </p>
      </section>
    );
  }
  const { server_total_mb: total, server_used_mb: used, load_line_mb: line, pressure } = state;
  const height = (value: number) =>
    `${(Math.min(1, value / total) * (100 - FREEBOARD)).toFixed(2)}%`;
  return (
    <section class="hull" aria-label="Memory now" data-pressure={pressure}>
      <meter
        class="visually-hidden"
        aria-label="Memory used on this machine, in MB"
        min={0}
        max={Math.round(total)}
        value={Math.round(used)}
      />
      <div class="hull-side" aria-hidden="true">
        <div class="water" style={{ height: height(used) }}>
          <svg class="wave" viewBox="0 0 1200 12" preserveAspectRatio="none" aria-hidden="true">
            <path d={WAVE} />
          </svg>
        </div>
        <DraughtMarks total={total} height={height} />
        <div class="load-line" style={{ bottom: height(line) }}>
          <span class="load-name">load line</span>
          <svg class="load-mark" viewBox="0 0 120 60" aria-hidden="true">
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
      </div>
      <Words state={state} />
    </section>
  );
}

function Words({ state }: { readonly state: State }) {
  const { server_total_mb: total, server_used_mb: used, load_line_mb: line, pressure } = state;
  return (
    <div class="hull-words">
      <p class="hull-used">
        <strong>{count(used)}</strong> <span>MB used</span>
      </p>
      <p class="hull-line">
        {percent(used / line)} of the load line, {count(line)} MB
      </p>
      <p class="hull-rest">
        {used <= line ? `${mb(line - used)} MB of room` : `${mb(used - line)} MB over the line`}
        {', '}
        {count(total)} MB in all
      </p>
      <p class="pressure" role="status">
        <span class="visually-hidden">Memory pressure: </span>
        {pressure}
      </p>
    </div>
  );
}

function DraughtMarks({
  total,
  height,
}: {
  readonly total: number;
  readonly height: (value: number) => string;
}) {
  const step = STEPS.find((candidate) => total / candidate <= MAX_STEPS) ?? total / MAX_STEPS;
  const marks = Array.from({ length: Math.floor(total / step) }, (_, index) => (index + 1) * step);
  return (
    <div class="draught">
      {marks.map((value) => (
        <span key={value} style={{ bottom: height(value) }}>
          {value >= 1024 ? `${value / 1024} GB` : `${value} MB`}
        </span>
      ))}
    </div>
  );
}

/** Gentle waves across the surface, and the water below them. */
const WAVE = `M0 8${Array.from({ length: 12 }, () => 'q25 -7 50 0t50 0').join('')}V12H0Z`;
