import { useState } from 'preact/hooks';
import { clock } from '../data/format.js';
import { useLive } from '../data/use-live.js';
import type { Mark } from '../data/wire.js';
import { MarkSign } from './mark-sign.js';
import { Panel } from './panel.js';
import { ReceiptView } from './receipt.js';

const SHOWN = 40;

/** What happened, the newest first: the marks of the chart for who does not point at it. */
export function Log() {
  const { marks } = useLive();
  const newest = marks.all.slice(-SHOWN).reverse();
  return (
    <Panel title="Log" area="log">
      {newest.length === 0 && <p class="none">Nothing has happened yet.</p>}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached with the keyboard */}
      <section class="log" aria-label="What happened, the newest first" tabIndex={0}>
        <ul>
          {newest.map((mark) => (
            <Entry key={mark.id} mark={mark} />
          ))}
        </ul>
      </section>
    </Panel>
  );
}

function Entry({ mark }: { readonly mark: Mark }) {
  const [open, setOpen] = useState(false);
  const line = (
    <>
      <time dateTime={mark.at}>{clock(mark.at)}</time>
      <MarkSign kind={mark.kind} />
      <span>{mark.text}</span>
    </>
  );
  if (mark.receipt === undefined) return <li class="log-line">{line}</li>;
  return (
    <li>
      <button type="button" class="log-line" aria-expanded={open} onClick={() => setOpen(!open)}>
        {line}
      </button>
      {open && (
        <div class="log-receipt">
          <ReceiptView receipt={mark.receipt} />
          {mark.session !== undefined && (
            <a href={`#/sessions/${encodeURIComponent(mark.session)}`}>The session’s own page</a>
          )}
        </div>
      )}
    </li>
  );
}
