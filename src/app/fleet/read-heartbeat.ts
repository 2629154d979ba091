import type { Heartbeat } from '../../contract/fleet.js';
import { isList, isNumber, isOneOf, isText, orNull, shapeOf } from '../../contract/schema/shape.js';

const isHeartbeat = shapeOf<Heartbeat>({
  ...{ id: isText, name: isText, address: orNull(isText), version: isText },
  role: isOneOf(['all', 'door', 'worker']),
  state: isOneOf(['starting', 'ready', 'not ready', 'draining']),
  ...{ reason: orNull(isText), started_at: isText, pressure: isText, models: isList(isText) },
  ...{ server_total_mb: isNumber, server_used_mb: isNumber, load_line_mb: isNumber },
  ...{ private_mb: isNumber, workers_ready: isNumber, workers: isNumber },
  ...{ sessions: isNumber, users: isNumber, shards: isNumber },
});

/**
 * What another server of the fleet says of itself.
 *
 * @returns undefined if it cannot be read: the server may be of another version
 */
export function readHeartbeat(text: string): Heartbeat | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isHeartbeat(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
