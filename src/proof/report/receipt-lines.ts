/** A receipt as log lines: what runs, memory before and after, freed, done. */
import { list, mb, ms, percent } from '../format.js';
import type { Receipt, ReceiptMemory } from '../replies.js';

/** One line each, without a line end. `session` is the session's number in the run. */
export function receiptLines(session: number, receipt: Receipt | null): readonly string[] {
  if (receipt === null) return [`Cleanup after session ${session}: no receipt`];
  const done = receipt.duration_ms === null ? 'not timed' : `in ${ms(receipt.duration_ms)}`;
  return [
    `Cleanup after session ${session}: ${whatRan(receipt) || 'no action reported'}`,
    `  memory before: ${side(receipt.before)}`,
    `  memory after:  ${side(receipt.after)}`,
    `  memory freed:  ${freed(receipt)}`,
    `  done ${done}`,
  ];
}

/** What the cleanup freed; says so if it freed nothing. */
function freed(receipt: Receipt): string {
  const { freed_mb: used, freed_private_mb: own } = receipt;
  if (used === null && own === null) return 'not measured';
  const parts = [
    own === null ? 'private not measured' : `private ${mb(own)}`,
    used === null ? 'server used not measured' : `server used ${mb(used)}`,
  ];
  const nothing = (used ?? 0) <= 0 && (own ?? 0) <= 0;
  return `${nothing ? 'freed nothing: ' : ''}${parts.join(', ')}`;
}

/** Each action once, in order, with how often it ran: usually once for each worker. */
function whatRan({ actions }: Receipt): string {
  const times = new Map<string, number>();
  for (const name of actions.map(named)) times.set(name, (times.get(name) ?? 0) + 1);
  return list([...times].map(([name, n]) => (n === 1 ? name : `${name} (${n} times)`)));
}

function named({ action, model }: Receipt['actions'][number]): string {
  const words = action.replaceAll(/[_-]/g, ' ');
  return model === null ? words : `${words} ${model}`;
}

function side(memory: ReceiptMemory | null): string {
  if (memory === null) return 'missing from the receipt';
  const machine = `${mb(memory.server_used_mb)} of ${mb(memory.server_total_mb)} used (${percent(memory.server_percent)})`;
  return memory.private_mb === null ? machine : `${machine}, private ${mb(memory.private_mb)}`;
}
