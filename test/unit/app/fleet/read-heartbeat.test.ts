import { expect, test } from 'vitest';
import { readHeartbeat } from '../../../../src/app/fleet/read-heartbeat.js';

const server = {
  ...{ id: 'a1', name: 'a', address: null, role: 'all', version: '0.2.0', state: 'ready' },
  ...{ reason: null, started_at: '2026-01-01T00:00:00.000Z', pressure: 'normal', models: ['spam'] },
  ...{ server_total_mb: 100, server_used_mb: 10, load_line_mb: 80, private_mb: 5 },
  ...{ workers_ready: 1, workers: 2, sessions: 0, users: 0, shards: 0 },
};

test('what a server tells of itself is read, with what a later version adds', () => {
  expect(readHeartbeat(JSON.stringify(server))).toEqual(server);
  const later = { ...server, more: 1 };
  expect(readHeartbeat(JSON.stringify(later))).toEqual(later);
});

test.each([
  ['no JSON', '{'],
  ['null', 'null'],
  ['a text', '"a"'],
  ['a role that is none', JSON.stringify({ ...server, role: 'king' })],
  ['no models', JSON.stringify({ ...server, models: undefined })],
  ['a number as a text', JSON.stringify({ ...server, users: '3' })],
])('%s is no server', (_, text) => {
  expect(readHeartbeat(text)).toBeUndefined();
});
