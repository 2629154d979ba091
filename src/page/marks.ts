import type { Mark } from '../contract/events.js';
import { freedPrivateBytes, type Receipt, shownReceipt } from '../memory/receipt.js';
import type { SessionView } from '../sessions/session.js';
import { shownEnded } from '../sessions/shown.js';

/** A mark before it is published. */
export type NewMark = Omit<Mark, 'id' | 'at'>;

const MB = 2 ** 20;
/** A receipt that unloaded more models gets one mark for all of them, as each mark carries the whole receipt. */
const MAX_MODELS = 16;

/** The mark of a session's end, with the receipt of its cleanup. */
export function sessionMark(session: SessionView): NewMark {
  const { id, users, requests, endCause, cleanup, job } = session;
  const of = job === undefined ? '' : ` of job ${job.id}, shard ${job.shard},`;
  const work = `${count(users, 'user')}, ${count(requests, 'request')}`;
  const cleaned = cleanup === null ? 'its cleanup failed' : `its cleanup ${gaveBack(cleanup)}`;
  return {
    kind: 'session_ended',
    text: `session${of} ended (${endCause ?? 'unknown'}) with ${work}; ${cleaned}`,
    session: id,
    ended: shownEnded(session),
    ...(cleanup === null ? {} : { receipt: shownReceipt(cleanup) }),
  };
}

export function loadMark(model: string, worker: string, loadMs: number): NewMark {
  const text = `${model} opened in ${worker} in ${Math.round(loadMs)} ms`;
  return { kind: 'model_loaded', text, model, worker };
}

/**
 * The marks of a receipt: one for each model that was unloaded and each worker that was replaced. A receipt
 * with neither gets one mark, unless it is of a session, whose end has a mark already.
 */
export function receiptMarks(receipt: Receipt): readonly NewMark[] {
  const { kind, cause, session, actions } = receipt;
  const shown = shownReceipt(receipt);
  const of = session === null ? {} : { session };
  const unloads = actions.filter(({ action }) => action === 'unload_model');
  const unloaded = new Set(unloads.flatMap(({ model }) => (model === undefined ? [] : [model])));
  const replaced = actions.filter(({ action }) => action === 'replace_worker');
  const marks: NewMark[] = [];
  if (unloaded.size > MAX_MODELS) {
    const text = `${unloaded.size} models unloaded (${kind}: ${cause})`;
    marks.push({ kind: 'model_unloaded', text, ...of, receipt: shown });
    unloaded.clear();
  }
  for (const model of unloaded) {
    const text = `${model} unloaded (${kind}: ${cause})`;
    marks.push({ kind: 'model_unloaded', text, model, ...of, receipt: shown });
  }
  for (const { worker, durationMs } of replaced) {
    const text = `${worker ?? 'a worker'} replaced in ${Math.round(durationMs)} ms (${cause})`;
    const named = worker === undefined ? {} : { worker };
    marks.push({ kind: 'worker_recycled', text, ...named, ...of, receipt: shown });
  }
  if (marks.length === 0 && session === null) {
    const took = `took ${Math.round(receipt.durationMs)} ms`;
    const text = `${kind} (${cause}) ${kind === 'shift' ? took : gaveBack(receipt)}`;
    marks.push({ kind: 'receipt', text, receipt: shown });
  }
  return marks;
}

function gaveBack(receipt: Receipt): string {
  const freed = freedPrivateBytes(receipt);
  const what = freed > 0 ? `gave back ${(freed / MB).toFixed(1)} MB` : 'gave back nothing';
  return `${what} in ${Math.round(receipt.durationMs)} ms`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
