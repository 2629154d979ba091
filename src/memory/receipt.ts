import { randomUUID } from 'node:crypto';
import type { JobShard } from '../contract/jobs.js';
import type { ShownVerdict } from '../contract/models.js';
import * as contract from '../contract/receipts.js';
import {
  isList,
  isNumber,
  isOneOf,
  isText,
  orMissing,
  orNull,
  shapeOf,
} from '../contract/schema/shape.js';
import { toInstant, toMb, toMs } from '../contract/units.js';
import { type SnapshotFigures, shownFigures } from './snapshot.js';

/** What a receipt is about. */
export type ReceiptKind = contract.Receipt['kind'];

/** One step of a receipt. */
export interface ReceiptAction {
  readonly action: string;
  readonly model?: string;
  readonly worker?: string;
  readonly durationMs: number;
  /** Private bytes freed; negative if the process grew meanwhile. For `clear_redis`, Redis's bytes. */
  readonly freedBytes: number;
  /** Entries that were removed from a cache. */
  readonly entries?: number;
}

/** The stored record of one action on memory, with figures before and after. */
export interface Receipt {
  readonly id: string;
  readonly kind: ReceiptKind;
  /** Why it ran. */
  readonly cause: string;
  /** The session it belongs to, if any. */
  readonly session: string | null;
  /** The shard of a bulk job that the session was for. */
  readonly job?: JobShard | undefined;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  readonly durationMs: number;
  readonly before: SnapshotFigures;
  readonly after: SnapshotFigures;
  readonly actions: readonly ReceiptAction[];
  /** What trying faster forms of a model has shown; kind `verdict` only. */
  readonly verdict?: ShownVerdict;
}

const areFigures = shapeOf<contract.Figures>({
  ...{ server_total_mb: isNumber, server_used_mb: isNumber, server_percent: isNumber },
  ...{ private_mb: isNumber, pss_mb: isNumber },
});
const isAction = shapeOf<Omit<contract.ReceiptAction, 'model' | 'worker' | 'entries'>>({
  ...{ action: isText, duration_ms: isNumber, freed_mb: isNumber },
});

/** Whether a value names a shard of a job. */
export const isJobShard = shapeOf<JobShard>({ id: isText, shard: isNumber });

/** Whether a value is a receipt as {@link shownReceipt} gives it: a store may hold what another hand wrote. */
export const isShownReceipt = shapeOf<Omit<contract.Receipt, 'verdict'>>({
  ...{ id: isText, kind: isOneOf(contract.RECEIPT_KINDS), cause: isText, session: orNull(isText) },
  job: orMissing(isJobShard),
  ...{ started_at: isText, duration_ms: isNumber, before: areFigures, after: areFigures },
  ...{ freed_mb: isNumber, freed_private_mb: isNumber, actions: isList(isAction) },
});

/** Ids that sort by time: milliseconds in base 36, then a random part. */
export function newReceiptId(nowMs: number): string {
  return `r_${nowMs.toString(36)}_${randomUUID().slice(0, 8)}`;
}

/** The same cleanup as another session's receipt: it had been done for several at once. */
export function sharedReceipt(
  receipt: Receipt,
  own: {
    readonly cause: string;
    readonly session: string;
    readonly job: JobShard | undefined;
  },
): Receipt {
  return { ...receipt, ...own, id: newReceiptId(receipt.startedAtMs) };
}

/** Decrease of the machine's (or cgroup's) used memory, in bytes; negative if it rose. */
export function freedBytes({ before, after }: Receipt): number {
  return before.serverUsedBytes - after.serverUsedBytes;
}

/** Decrease of our processes' private bytes; negative if they grew. */
export function freedPrivateBytes({ before, after }: Receipt): number {
  return before.privateBytes - after.privateBytes;
}

/** A receipt as callers see it, and as the store keeps it. */
export function shownReceipt(receipt: Receipt): contract.Receipt {
  const { id, kind, cause, session, job } = receipt;
  return {
    ...{ id, kind, cause, session },
    ...(job === undefined ? {} : { job }),
    started_at: toInstant(receipt.startedAtMs),
    duration_ms: toMs(receipt.durationMs),
    before: shownFigures(receipt.before),
    after: shownFigures(receipt.after),
    freed_mb: toMb(freedBytes(receipt)),
    freed_private_mb: toMb(freedPrivateBytes(receipt)),
    actions: receipt.actions.map(shownAction),
    ...(receipt.verdict === undefined ? {} : { verdict: receipt.verdict }),
  };
}

function shownAction({ action, model, worker, entries, ...of }: ReceiptAction) {
  return {
    action,
    ...(model === undefined ? {} : { model }),
    ...(worker === undefined ? {} : { worker }),
    duration_ms: toMs(of.durationMs),
    freed_mb: toMb(of.freedBytes),
    ...(entries === undefined ? {} : { entries }),
  };
}
