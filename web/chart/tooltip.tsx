import { clock, mb, percent } from '../data/format.js';
import { type History, TOTALS } from '../data/history.js';
import { SLOTS } from '../data/process-slots.js';
import type { Mark } from '../data/wire.js';
import { EventText } from '../ui/event-text.js';
import type { View } from './layers.js';
import { ReceiptSummary } from './receipt-summary.js';

const MAX_MARKS = 3;

/** Memory at the pointer's time, or the marks at the pointer with their receipts. */
export function Tooltip({
  history,
  view,
  time,
  left,
  flip,
  marks,
}: {
  readonly history: History;
  readonly view: View;
  /** Seconds since 1970. */
  readonly time: number;
  /** CSS pixels from the left edge of the chart. */
  readonly left: number;
  /** Stand to the left of the pointer. */
  readonly flip: boolean;
  readonly marks: readonly Mark[];
}) {
  const place = flip ? { right: `calc(100% - ${left - 14}px)` } : { left: `${left + 14}px` };
  return (
    <div class="tooltip" role="tooltip" style={place}>
      <p class="tooltip-time">{clock(new Date(time * 1000).toISOString())}</p>
      {marks.slice(0, MAX_MARKS).map((mark) => (
        <div key={mark.id} class="tooltip-mark">
          <p>
            <EventText mark={mark} />
          </p>
          {mark.receipt !== undefined && <ReceiptSummary receipt={mark.receipt} />}
        </div>
      ))}
      {marks.length > MAX_MARKS && <p>and {marks.length - MAX_MARKS} more</p>}
      {marks.length === 0 && <Moment history={history} view={view} time={time} />}
    </div>
  );
}

function Moment({
  history,
  view,
  time,
}: {
  readonly history: History;
  readonly view: View;
  readonly time: number;
}) {
  return view === 'processes' ? (
    <ProcessFigures history={history} time={time} />
  ) : (
    <MachineFigures history={history} time={time} />
  );
}

function ProcessFigures({ history, time }: { readonly history: History; readonly time: number }) {
  const { processes } = history;
  const at = Math.min(processes.indexFrom(time), processes.length - 1);
  const slots = Array.from({ length: SLOTS }, (_, slot) => history.slotAt(at, slot));
  return (
    <dl class="tooltip-figures">
      {slots.map((process, slot) =>
        process === undefined ? null : (
          <>
            <dt key={`${slot} name`} class={`swatch slot-${slot}`}>
              {process.name}
            </dt>
            <dd key={`${slot} memory`}>
              {mb(process.privateMb)} + {mb(process.sharedMb)} MB
            </dd>
          </>
        ),
      )}
    </dl>
  );
}

function MachineFigures({ history, time }: { readonly history: History; readonly time: number }) {
  const { seconds } = history;
  const at = Math.min(seconds.indexFrom(time), seconds.length - 1);
  const of = (name: keyof typeof TOTALS) => seconds.at(at, TOTALS[name]);
  return (
    <dl class="tooltip-figures">
      <dt>used</dt>
      <dd>{mb(of('used'))} MB</dd>
      <dt>load line</dt>
      <dd>
        {mb(of('line'))} MB, {percent(of('used') / of('line'))}
      </dd>
      <dt>of it Plimsoll</dt>
      <dd>{mb(of('pss'))} MB</dd>
    </dl>
  );
}
