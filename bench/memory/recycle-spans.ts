import type { Receipt } from '../../src/contract/receipts.js';

interface Span {
  readonly from: number;
  readonly to: number;
}

/** Latencies of the requests that overlap one of the receipts' spans, and of the others. */
export function splitByReceipts(
  replies: readonly { readonly sentAtMs: number; readonly ms: number }[],
  receipts: readonly Pick<Receipt, 'started_at' | 'duration_ms'>[],
): { readonly during: readonly number[]; readonly outside: readonly number[] } {
  const spans: Span[] = receipts.map(({ started_at: at, duration_ms: ms }) => {
    const from = Date.parse(at);
    return { from, to: from + ms };
  });
  const during: number[] = [];
  const outside: number[] = [];
  for (const { sentAtMs, ms } of replies) {
    const overlaps = spans.some(({ from, to }) => sentAtMs <= to && sentAtMs + ms >= from);
    (overlaps ? during : outside).push(ms);
  }
  return { during, outside };
}
