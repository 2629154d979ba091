import { clock, mb, ms, percent, signedMb, words } from '../data/format.js';
import { type History, TOTALS } from '../data/history.js';
import { SLOTS } from '../data/slots.js';
import type { Mark, Receipt } from '../data/wire.js';
import type { View } from './layers.js';

/** Actions of a receipt that the tooltip lists; the rest are counted. */
const MAX_ACTIONS = 5;
const MAX_MARKS = 3;

/** What lies under the pointer: memory at that moment, and what happened there, with its receipt. */
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
  readonly time: number;
  /** CSS pixels from the left edge of the chart. */
  readonly left: number;
  /** To the left of the pointer. */
  readonly flip: boolean;
  readonly marks: readonly Mark[];
}) {
  const place = flip ? { right: `calc(100% - ${left - 14}px)` } : { left: `${left + 14}px` };
  return (
    <div class="tooltip" role="tooltip" style={place}>
      <p class="tooltip-time">{clock(new Date(time * 1000).toISOString())}</p>
      {marks.slice(0, MAX_MARKS).map((mark) => (
        <div key={mark.id} class="tooltip-mark">
          <p>{mark.text}</p>
          {mark.receipt !== undefined && <ShortReceipt receipt={mark.receipt} />}
        </div>
      ))}
      {marks.length > MAX_MARKS && <p>and {marks.length - MAX_MARKS} more</p>}
      {marks.length === 0 && <Moment history={history} view={view} time={time} />}
    </div>
  );
}

function ShortReceipt({ receipt }: { readonly receipt: Receipt }) {
  const { before, after, freed_private_mb: freed, duration_ms: took, actions } = receipt;
  return (
    <dl class="tooltip-figures">
      <dt>private before</dt>
      <dd>{mb(before.private_mb)} MB</dd>
      <dt>after</dt>
      <dd>{mb(after.private_mb)} MB</dd>
      <dt>given back</dt>
      <dd>
        {mb(freed)} MB in {ms(took)}
      </dd>
      {actions.slice(0, MAX_ACTIONS).map((action, index) => (
        <>
          <dt key={`${index} name`}>
            {words(action.action)} {action.model ?? action.worker ?? ''}
          </dt>
          <dd key={`${index} freed`}>{signedMb(-action.freed_mb)} MB</dd>
        </>
      ))}
      {actions.length > MAX_ACTIONS && <dt>and {actions.length - MAX_ACTIONS} more steps</dt>}
    </dl>
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
  if (view === 'processes') {
    const { processes } = history;
    const at = Math.min(processes.indexFrom(time), processes.length - 1);
    const moments = Array.from({ length: SLOTS }, (_, slot) => history.slotAt(at, slot));
    return (
      <dl class="tooltip-figures">
        {moments.map((moment, slot) =>
          moment === undefined ? null : (
            <>
              <dt key={`${slot} name`} class={`swatch slot-${slot}`}>
                {moment.name}
              </dt>
              <dd key={`${slot} memory`}>
                {mb(moment.privateMb)} + {mb(moment.sharedMb)} MB
              </dd>
            </>
          ),
        )}
      </dl>
    );
  }
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
