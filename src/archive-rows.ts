import { createHmac } from 'node:crypto';
import { receiptToWire, sessionToWire } from './http/wire.js';
import type { Receipt } from './memory/receipt.js';
import type { Answered } from './sessions/service.js';
import type { SessionView } from './sessions/session.js';
import { type Row, rowOf } from './store/rows.js';

/** Something that has happened; `text` is a line for people. */
export interface NewEvent {
  readonly kind: string;
  readonly text: string;
  readonly session?: string | undefined;
  readonly model?: string | undefined;
  readonly worker?: string | undefined;
}

export function sessionRow(view: SessionView, server: string, revision: number): Row {
  const { id, state, requests, users } = view;
  return rowOf('sessions', {
    ...{ id, state, users, requests, server, revision },
    max_users: view.maxUsers,
    opened_at_ms: view.openedAtMs,
    ended_at_ms: view.endedAtMs,
    body: JSON.stringify(sessionToWire(view)),
  });
}

export function receiptRow(receipt: Receipt): Row {
  const { id, kind, session, startedAtMs } = receipt;
  const body = JSON.stringify(receiptToWire(receipt));
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

/** One row for each input; the ids of a request's rows count up. */
export function recordRows(
  { answer, inputs, tookMs }: Answered,
  of: {
    readonly id: string;
    readonly atMs: number;
    readonly userHash: string;
    readonly keepText: boolean;
  },
): readonly Row[] {
  return inputs.map((input, index) => {
    const [best] = answer.results[index] ?? [];
    const tier = answer.cached[index];
    return rowOf('records', {
      id: `${of.id}.${index}`,
      at_ms: of.atMs,
      session: answer.session,
      user_hash: of.userHash,
      model: answer.model,
      input_hash: answer.inputHashes[index] ?? '',
      label: best?.label ?? '',
      score: best?.score ?? 0,
      ms: Math.round(tookMs * 1000) / 1000,
      tier: typeof tier === 'string' ? tier : null,
      input: of.keepText ? input : null,
    });
  });
}

/** A user's name as it is kept: names may be addresses of people, and few enough to try them all. */
export function hashOfUser(user: string, secret: string): string {
  return createHmac('sha256', secret).update(user).digest('base64url').slice(0, 22);
}
