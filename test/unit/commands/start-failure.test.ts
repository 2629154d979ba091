import { describe, expect, test } from 'vitest';
import { startFailure } from '../../../src/commands/start-failure.js';
import { PlimsollError } from '../../../src/errors.js';
import { SettingError } from '../../../src/settings/setting.js';

const FLAGS = '--frozen-intrinsics';
const withCode = (code: string, message: string) => Object.assign(new Error(message), { code });

describe('why a command could not do its work', () => {
  test.each([
    ['EMFILE', 'too many open files, open x'],
    ['ENFILE', 'file table overflow'],
  ])('%s: the limit that has to be raised', (code, message) => {
    expect(startFailure(withCode(code, message), FLAGS)).toMatch(
      /^too many open files: .*ulimit -n/,
    );
  });

  test('settings: each that is wrong on a line of its own', () => {
    const lines = startFailure(new SettingError('a: bad\nb: bad'), FLAGS).split('\n');
    expect(lines).toEqual(['these settings cannot be used:', 'a: bad', 'b: bad']);
  });

  test.each([
    new TypeError('callSite.getFileName is not a function'),
    withCode('ERR_DLOPEN_DISABLED', 'Cannot load native addon'),
  ])('an error of a library names the options that Node runs with: %s', (error) => {
    expect(startFailure(error, FLAGS)).toMatch(`${error.message} (Node runs with ${FLAGS}`);
    expect(startFailure(error, '')).toBe(error.message);
  });

  test.each([
    withCode('EADDRINUSE', 'listen EADDRINUSE: address already in use 127.0.0.1:8000'),
    new PlimsollError('MODEL_UNUSABLE', 'the folder of models is missing'),
  ])('an error of the system or of ours has nothing to do with them: %s', (error) => {
    expect(startFailure(error, FLAGS)).toBe(error.message);
  });

  test('is one line, whatever was thrown', () => {
    expect(startFailure(new Error('first\n    at second'), '')).toBe('first');
    expect(startFailure('a text', '')).toBe('a text');
    expect(startFailure(undefined, '')).toBe('undefined');
  });
});
