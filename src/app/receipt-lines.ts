import { freedPrivateBytes, type Receipt } from '../memory/receipt.js';

const MB = 2 ** 20;

/** A receipt as log lines: what runs, memory before, after and freed, and the steps. */
export function receiptLines(receipt: Receipt): readonly string[] {
  const { before, after, actions } = receipt;
  const { session, job } = receipt;
  const ofShard = job === undefined ? '' : ` of job ${job.id}, shard ${job.shard}`;
  const of = session === null ? '' : ` after session ${session}${ofShard}`;
  const steps = new Map<string, number>();
  for (const { action } of actions) steps.set(action, (steps.get(action) ?? 0) + 1);
  const done = [...steps].map(([action, count]) => `${action} × ${count}`).join(', ');
  const freed = freedPrivateBytes(receipt);
  return [
    `${receipt.kind} runs${of} (${receipt.cause})`,
    `memory before: ${figures(before)}`,
    `memory after:  ${figures(after)}`,
    `memory freed:  ${freed > 0 ? `${mb(freed)} private` : `nothing (private memory ${mb(-freed)} higher)`}, ${mb(before.serverUsedBytes - after.serverUsedBytes)} of the server's`,
    `${receipt.kind} done in ${Math.round(receipt.durationMs)} ms: ${done || 'nothing to do'}`,
  ];
}

function figures(of: Receipt['before']): string {
  return `${mb(of.serverUsedBytes)} of ${mb(of.serverTotalBytes)} (${of.serverPercent.toFixed(2)} %), Plimsoll: ${mb(of.privateBytes)} private, ${mb(of.pssBytes)} PSS`;
}

function mb(bytes: number): string {
  return `${(bytes / MB).toFixed(1)} MB`;
}
