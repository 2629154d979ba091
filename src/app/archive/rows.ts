import { createHmac } from 'node:crypto';
import type { SessionView } from '../../contract/sessions.js';
import { type Receipt, shownReceipt } from '../../memory/receipt.js';
import type { Answered } from '../../sessions/service.js';
import type { Classified } from '../../store/row-buffer.js';
import { type Row, rowOf } from '../../store/rows.js';

/** An event; `text` is a line for people. */
export interface NewEvent {
  readonly kind: string;
  readonly text: string;
  readonly session?: string | undefined;
  readonly model?: string | undefined;
  readonly worker?: string | undefined;
}

/** @param session its public form. */
export function sessionRow(session: SessionView, server: string, revision: number): Row {
  const { id, state, requests, users, max_users, ended_at } = session;
  return rowOf('sessions', {
    ...{ id, state, max_users, users, requests, server, revision },
    opened_at_ms: Date.parse(session.opened_at),
    ended_at_ms: ended_at === null ? null : Date.parse(ended_at),
    body: JSON.stringify(session),
  });
}

export function receiptRow(receipt: Receipt): Row {
  const { id, kind, session, startedAtMs } = receipt;
  const body = JSON.stringify(shownReceipt(receipt));
  return rowOf('receipts', { id, kind, session, started_at_ms: startedAtMs, body });
}

export function eventRow(event: NewEvent, id: string, atMs: number, server: string): Row {
  const { kind, text, session, model, worker } = event;
  return rowOf('events', {
    ...{ id, server, kind, text },
    at_ms: atMs,
    session: session ?? null,
    model: model ?? null,
    worker: worker ?? null,
  });
}

export function userRow(session: string, userHash: string, atMs: number): Row {
  const id = `${session}.${userHash}`;
  return rowOf('session_users', { id, session, user_hash: userHash, at_ms: atMs });
}

/** Calls `keep` for each input of an answer. Builds no row, because this is the hot path. */
export function classifiedOf(
  { answer, best: bestOf, inputOf, tookMs }: Answered,
  of: {
    readonly run: string;
    readonly request: number;
    readonly atMs: number;
    readonly userHash: string;
    readonly keepText: boolean;
  },
  keep: (classified: Classified) => void,
): void {
  const { session, model } = answer;
  const { run, request, atMs, userHash, keepText } = of;
  for (let index = 0; index < answer.results.length; index += 1) {
    const best = bestOf(index);
    keep({
      run,
      request,
      index,
      atMs,
      session,
      userHash,
      model,
      inputHash: answer.inputHashes[index] ?? '',
      label: best?.label ?? '',
      score: best?.score ?? 0,
      ms: tookMs,
      tier: answer.cached[index] || null,
      input: keepText ? inputOf(index) : null,
    });
  }
}

/** Cached hashes, some 150 bytes each: users of open sessions come again and again, and a hash costs as much as a tenth of a cached answer. */
const MAX_REMEMBERED = 4096;

/** Keyed hashes of user names: names may be personal, and few enough to brute-force an unkeyed hash. */
export class UserHashes {
  readonly #secret: string;
  readonly #known = new Map<string, string>();

  constructor(secret: string) {
    this.#secret = secret;
  }

  of(user: string): string {
    const known = this.#known.get(user);
    if (known !== undefined) return known;
    const hash = createHmac('sha256', this.#secret).update(user).digest('base64url').slice(0, 22);
    if (this.#known.size >= MAX_REMEMBERED) this.#known.clear();
    this.#known.set(user, hash);
    return hash;
  }
}
