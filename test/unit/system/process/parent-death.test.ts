import { describe, expect, test } from 'vitest';
import { belongsToStarter, PARENT_VARIABLE } from '../../../../src/system/process/parent-death.js';

const MAIN = '/srv/plimsoll/dist/main.js';
const LINK = '/srv/app/node_modules/.bin/plimsoll';
const npm = (script: string) => ({ npm_lifecycle_event: 'start', npm_lifecycle_script: script });
const belongs = (environment: Readonly<Record<string, string>>, program = MAIN) =>
  belongsToStarter({ environment, parentPid: 7, program });

describe('the server ends with the one that started it', () => {
  test.each([
    ['exec node dist/main.js serve', MAIN],
    ['node dist/main.js serve --port 0 2>&1', MAIN],
    ['npm run build && node dist/main.js serve', MAIN],
    ['node dist/main.js serve > server.log 2>& 1', MAIN],
    ['plimsoll serve', LINK],
    ['plimsoll serve --models ./models', LINK],
  ])('when npm runs %s', (script, program) => {
    expect(belongs(npm(script), program)).toBe(true);
  });

  test('when its parent names itself', () => {
    expect(belongs({ [PARENT_VARIABLE]: '7' })).toBe(true);
    expect(belongs({ [PARENT_VARIABLE]: '8' })).toBe(false);
    expect(belongs({ [PARENT_VARIABLE]: '' })).toBe(false);
  });
});

describe('the server stays when the one that started it ends', () => {
  test('when that is no npm', () => {
    expect(belongs({})).toBe(false);
    expect(belongs({ npm_config_cache: '/tmp/cache' })).toBe(false);
  });

  test.each([
    'node dist/main.js serve &',
    'node dist/main.js serve > server.log 2>&1 & echo $! > server.pid',
    'nohup node dist/main.js serve',
    'setsid node dist/main.js serve',
  ])('when npm’s script detaches it: %s', (script) => {
    expect(belongs(npm(script))).toBe(false);
  });

  test.each(['node app.js', 'pm2 start ecosystem.config.cjs', 'vitest run'])(
    'when npm runs another program that started it: %s',
    (script) => {
      expect(belongs(npm(script))).toBe(false);
    },
  );
});
