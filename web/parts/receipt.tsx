import { count, mb, ms, signedMb, words } from '../data/format.js';
import type { Figures, Receipt } from '../data/wire.js';
import { Table } from './panel.js';

const ROWS: readonly { readonly name: string; readonly field: keyof Figures }[] = [
  { name: 'Plimsoll, private', field: 'private_mb' },
  { name: 'Plimsoll with its share', field: 'pss_mb' },
  { name: 'server used', field: 'server_used_mb' },
];

/** A receipt: memory before and after, and what was done, action by action. */
export function ReceiptView({ receipt }: { readonly receipt: Receipt }) {
  const { kind, cause, before, after, duration_ms: took, actions } = receipt;
  return (
    <div class="receipt">
      <p class="receipt-head">
        <strong>{words(kind)}</strong> ({cause}), {ms(took)}
      </p>
      <Table label="Memory before and after" heads={['memory, MB', '#before', '#after', '#change']}>
        {ROWS.map(({ name, field }) => (
          <tr key={field}>
            <th scope="row">{name}</th>
            <td class="figure">{mb(before[field])}</td>
            <td class="figure">{mb(after[field])}</td>
            <td class="figure">{signedMb(after[field] - before[field])}</td>
          </tr>
        ))}
      </Table>
      {actions.length === 0 ? (
        <p class="none">Nothing had to be done.</p>
      ) : (
        <Table label="Actions" heads={['action', 'on', '#took', '#gave back, MB']}>
          {actions.map((action, index) => (
            <tr key={index}>
              <th scope="row">{words(action.action)}</th>
              <td>
                {[action.model, action.worker].filter(Boolean).join(' in ')}
                {action.entries !== undefined && ` ${count(action.entries)} entries`}
              </td>
              <td class="figure">{ms(action.duration_ms)}</td>
              <td class="figure">{mb(action.freed_mb)}</td>
            </tr>
          ))}
        </Table>
      )}
    </div>
  );
}
