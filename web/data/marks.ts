import { mb, ms, plural } from './format.js';
import type { Mark, PastEvent, Receipt, SessionView } from './wire.js';

/** Bounded, as each mark may carry a receipt of some KB. */
const MAX_MARKS = 240;
/** A load's mark and its stored event differ in time by less than this. */
const SAME_LOAD_MS = 1000;

/** The newest marks in order of time: sent by the server, or made from stored receipts and events. */
export class Marks {
  #marks: readonly Mark[] = [];

  get all(): readonly Mark[] {
    return this.#marks;
  }

  add(mark: Mark): void {
    if (this.#marks.some(({ id }) => id === mark.id)) return;
    this.#marks = [...this.#marks, mark].slice(-MAX_MARKS);
  }

  /** Adds marks for receipts that were written while this page was not connected. */
  addReceipts(receipts: readonly Receipt[], sessions: readonly SessionView[]): void {
    const known = new Set(this.#marks.map(({ receipt }) => receipt?.id));
    const missed = receipts
      .filter(({ id }) => !known.has(id))
      .map((receipt) => markOf(receipt, sessions));
    this.#merge(missed);
  }

  /** Adds marks for loads. They have no receipts; the server stores them as events. */
  addLoads(events: readonly PastEvent[]): void {
    const isKnown = ({ at, text }: PastEvent) =>
      this.#marks.some(
        (mark) =>
          mark.text === text && Math.abs(Date.parse(mark.at) - Date.parse(at)) < SAME_LOAD_MS,
      );
    const missed = events.filter((event) => !isKnown(event));
    this.#merge(
      missed.map(({ at, text }) => ({ id: nextOwnId--, at, kind: 'model_loaded', text })),
    );
  }

  #merge(missed: readonly Mark[]): void {
    if (missed.length === 0) return;
    this.#marks = [...missed, ...this.#marks]
      .sort((a, b) => Date.parse(a.at) - Date.parse(b.at))
      .slice(-MAX_MARKS);
  }
}

/** Ids of marks that this page made are negative; the server's are positive. */
let nextOwnId = -1;

function markOf(receipt: Receipt, sessions: readonly SessionView[]): Mark {
  const endMs = Date.parse(receipt.started_at) + receipt.duration_ms;
  const { kind, text } = nameOf(receipt, sessions);
  const { session } = receipt;
  const of = session === null ? {} : { session };
  return { id: nextOwnId--, at: new Date(endMs).toISOString(), kind, text, ...of, receipt };
}

function nameOf(receipt: Receipt, sessions: readonly SessionView[]): Pick<Mark, 'kind' | 'text'> {
  const { kind, cause, session, actions } = receipt;
  const replaced = actions.filter(({ action }) => action === 'replace_worker');
  const models = new Set(actions.flatMap(({ model }) => (model === undefined ? [] : [model])));
  const names = [...models].slice(0, 3).join(', ');
  if (session !== null) {
    const ended = sessions.find(({ id }) => id === session);
    const { freed_private_mb: freed, duration_ms: took } = receipt;
    const work =
      ended === undefined
        ? ''
        : ` with ${plural(ended.users, 'user')}, ${plural(ended.requests, 'request')}`;
    const text = `${cause}${work}; its cleanup gave back ${mb(freed)} MB in ${ms(took)}`;
    return { kind: 'session_ended', text };
  }
  if (replaced.length > 0) {
    const workers = replaced.length === 1 ? '1 worker' : `${replaced.length} workers`;
    return { kind: 'worker_recycled', text: `${workers} replaced (${cause})` };
  }
  if (receipt.verdict !== undefined) {
    return { kind: 'receipt', text: `verdict of ${names}: ${receipt.verdict.form} serves` };
  }
  if (models.size > 0) return { kind: 'model_unloaded', text: `${names} unloaded (${cause})` };
  return { kind: 'receipt', text: `${kind} (${cause})` };
}
