import { mb, ms, signedMb, words } from '../data/format.js';
import type { Receipt } from '../data/wire.js';
import { Name } from '../ui/name.js';

/** Actions that are listed; the rest are counted. */
const MAX_ACTIONS = 5;

/** The main figures of a receipt, in the space of a tooltip. */
export function ReceiptSummary({ receipt }: { readonly receipt: Receipt }) {
  const { before, after, freed_private_mb: freedMb, duration_ms: took, actions } = receipt;
  return (
    <dl class="tooltip-figures">
      <dt>private before</dt>
      <dd>{mb(before.private_mb)} MB</dd>
      <dt>after</dt>
      <dd>{mb(after.private_mb)} MB</dd>
      <dt>freed</dt>
      <dd>
        {mb(freedMb)} MB in {ms(took)}
      </dd>
      {actions.slice(0, MAX_ACTIONS).map((action, index) => (
        <>
          <dt key={`${index} name`}>
            {words(action.action)} <Name text={action.model ?? action.worker ?? ''} />
          </dt>
          <dd key={`${index} freed`}>{signedMb(-action.freed_mb)} MB</dd>
        </>
      ))}
      {actions.length > MAX_ACTIONS && <dt>and {actions.length - MAX_ACTIONS} more actions</dt>}
    </dl>
  );
}
