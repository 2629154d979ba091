/** Stored rows as callers see them. */

import type { ClassificationRecord, PastEvent } from '../contract/records.js';
import type { SessionUsers } from '../contract/sessions.js';
import { type MinuteReading, pressureOfLevel } from '../contract/state/memory.js';
import { toInstant, toMb } from '../contract/units.js';
import type { StoredEvent, StoredReading, StoredRecord } from './reader.js';
import type { Schema } from './schema.js';

export function shownMinute(minute: StoredReading): MinuteReading {
  return {
    at: toInstant(minute.at_ms),
    readings: minute.count,
    server_total_mb: toMb(minute.server_total_bytes),
    server_used_mb: toMb(minute.server_used_mean_bytes),
    server_used_max_mb: toMb(minute.server_used_max_bytes),
    load_line_mb: toMb(minute.load_line_bytes),
    private_mb: toMb(minute.private_mean_bytes),
    private_max_mb: toMb(minute.private_max_bytes),
    pss_mb: toMb(minute.pss_mean_bytes),
    pressure: pressureOfLevel(minute.pressure_max),
  };
}

export function shownRecord(record: StoredRecord): ClassificationRecord {
  const { id, session, user_hash, model, input_hash, input, label, score, ms, tier } = record;
  return {
    ...{ id, at: toInstant(record.at_ms), session, user_hash, model, input_hash },
    ...(input === null ? {} : { input }),
    ...{ label, score, ms },
    cached: tier === 'memory' || tier === 'redis' ? tier : false,
  };
}

export function shownEvent(event: StoredEvent): PastEvent {
  const { id, kind, text, session, model, worker } = event;
  return { id, at: toInstant(event.at_ms), kind, text, session, model, worker };
}

export function shownUser(user: Schema['session_users']): SessionUsers['users'][number] {
  return { user_hash: user.user_hash, since: toInstant(user.at_ms) };
}
