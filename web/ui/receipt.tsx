import { count, jobText, mb, ms, signedMb, words } from '../data/format.js';
import type { Figures, Receipt, ReceiptAction } from '../data/wire.js';
import { Name } from './name.js';
import { type Column, Row, Table } from './table.js';
import { VerdictView } from './verdict.js';

const FIGURES: readonly { readonly name: string; readonly field: keyof Figures }[] = [
  { name: 'Plimsoll, private', field: 'private_mb' },
  { name: 'Plimsoll, PSS', field: 'pss_mb' },
  { name: 'server used', field: 'server_used_mb' },
];
const MEMORY_COLUMNS: readonly Column[] = [
  { head: 'memory, MB' },
  { head: 'before', kind: 'figure' },
  { head: 'after', kind: 'figure' },
  { head: 'change', kind: 'figure' },
];
const ACTION_COLUMNS: readonly Column[] = [
  { head: 'action' },
  { head: 'on', kind: 'names' },
  { head: 'took', kind: 'figure' },
  { head: 'freed, MB', kind: 'figure' },
];

/** A receipt: memory before and after, and what each action did. */
export function ReceiptView({ receipt }: { readonly receipt: Receipt }) {
  const { kind, cause, before, after, duration_ms: took, actions, job, verdict } = receipt;
  return (
    <div class="receipt">
      <p class="receipt-head">
        <strong>{words(kind)}</strong> ({cause}), {ms(took)}
        {job !== undefined && <small>, {jobText(job)}</small>}
      </p>
      {verdict !== undefined && <VerdictView verdict={verdict} />}
      <Table label="Memory before and after" columns={MEMORY_COLUMNS}>
        {FIGURES.map(({ name, field }) => (
          <Row
            key={field}
            cells={[
              name,
              mb(before[field]),
              mb(after[field]),
              signedMb(after[field] - before[field]),
            ]}
          />
        ))}
      </Table>
      {actions.length === 0 ? (
        <p class="none">No action was needed.</p>
      ) : (
        <Table label="Actions" columns={ACTION_COLUMNS}>
          {actions.map((action, index) => (
            <Row
              key={index}
              cells={[
                words(action.action),
                <Target key="target" action={action} />,
                ms(action.duration_ms),
                mb(action.freed_mb),
              ]}
            />
          ))}
        </Table>
      )}
    </div>
  );
}

function Target({ action: { model, worker, entries } }: { readonly action: ReceiptAction }) {
  return (
    <>
      {model !== undefined && <Name text={model} />}
      {model !== undefined && worker !== undefined && ' in '}
      {worker}
      {entries !== undefined && ` ${count(entries)} entries`}
    </>
  );
}
