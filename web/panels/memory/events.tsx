import { useState } from 'preact/hooks';
import { clock, count } from '../../data/format.js';
import { useLive } from '../../data/use-live.js';
import type { Mark } from '../../data/wire.js';
import { sessionHref } from '../../route.js';
import { EventSymbol } from '../../ui/event-symbol.js';
import { EventText } from '../../ui/event-text.js';
import { Panel } from '../../ui/panel.js';
import { ReceiptView } from '../../ui/receipt.js';

const SHOWN = 40;

/** What happened, the newest first: the chart's marks as a list. */
export function Events() {
  const { marks, state } = useLive();
  const [isAll, showAll] = useState(false);
  const { length } = marks.all;
  const shown = marks.all.slice(isAll ? 0 : -SHOWN).toReversed();
  return (
    <Panel title="Events">
      {length === 0 && <p class="none">Nothing has happened yet.</p>}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached with the keyboard */}
      <section class="event-list" aria-label="What happened, the newest first" tabIndex={0}>
        <ul>
          {shown.map((mark) => (
            <Event key={mark.id} mark={mark} now={state?.at} />
          ))}
        </ul>
        {length > SHOWN && (
          <button type="button" class="show-all" onClick={() => showAll(!isAll)}>
            {isAll ? `Show the newest ${SHOWN}` : `Show all ${count(length)}`}
          </button>
        )}
      </section>
    </Panel>
  );
}

function Event({ mark, now }: { readonly mark: Mark; readonly now: string | undefined }) {
  const [isOpen, setOpen] = useState(false);
  const line = (
    <>
      <time dateTime={mark.at}>{clock(mark.at, now)}</time>
      <EventSymbol kind={mark.kind} />
      <EventText mark={mark} />
    </>
  );
  if (mark.receipt === undefined) return <li class="event-line">{line}</li>;
  return (
    <li>
      <button
        type="button"
        class="event-line"
        aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}
      >
        {line}
      </button>
      {isOpen && (
        <div class="event-receipt">
          <ReceiptView receipt={mark.receipt} />
          {mark.session !== undefined && (
            <a href={sessionHref(mark.session)}>The session’s own page</a>
          )}
        </div>
      )}
    </li>
  );
}
