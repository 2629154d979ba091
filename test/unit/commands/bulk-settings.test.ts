import { expect, test } from 'vitest';
import { embedded } from '../../../src/commands/bulk/bulk.js';
import { readConfig } from '../../../src/settings/config.js';

const OF_A_DOOR = {
  ...{ PLIMSOLL_JOBS_URL: 'redis://jobs:6379', PLIMSOLL_SERVER_ROLE: 'door' },
  ...{ PLIMSOLL_DATABASE_URL: 'postgres://db/plimsoll', PLIMSOLL_REDIS_URL: 'redis://cache:6379' },
};

test('a job of this process has a queue of its own and works, whatever the server here is told', () => {
  const config = readConfig({ ...OF_A_DOOR, PLIMSOLL_JOBS_AT_ONCE: '5' }, {}, { cpus: 2 });
  expect(config['server.role']).toBe('door');
  expect(embedded(config, [])).toEqual({
    ...config,
    ...{ 'jobs.url': '', 'database.url': '', 'redis.url': '', 'server.role': 'all' },
  });
});

test('asked for a fleet’s settings on the command line, it says what to use instead', () => {
  const config = readConfig({}, {}, { cpus: 2 });
  expect(() => embedded(config, ['jobs.at_once=2', 'jobs.url=redis://x'])).toThrow(
    /--set jobs\.url: .* use --server/,
  );
});
