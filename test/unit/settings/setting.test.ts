import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  amountInBytes,
  choice,
  flag,
  integer,
  memoryAmount,
  SettingError,
  text,
} from '../../../src/settings/setting.js';

const MIB = 2 ** 20;

describe('a whole number', () => {
  const setting = integer({ default: 5, min: 1, max: 10, unit: 'ms', about: 'x' });

  test.each([
    ['1', 1],
    ['10', 10],
    [' 7 ', 7],
    ['007', 7],
  ])('takes %j', (written, value) => {
    expect(setting.parse(written)).toBe(value);
  });

  test.each([
    '0',
    '11',
    '-1',
    '1.5',
    '1e1',
    '0x5',
    '',
    ' ',
    'ten',
    'NaN',
    'Infinity',
    '9'.repeat(40),
  ])('refuses %j with its bounds and unit', (written) => {
    expect(() => setting.parse(written)).toThrow(SettingError);
    expect(() => setting.parse(written)).toThrow(/is not a whole number from 1 to 10 \(ms\)$/);
  });

  test('takes a number exactly when it is within the bounds', () => {
    fc.assert(
      fc.property(fc.integer({ min: -30, max: 30 }), (value) => {
        const isWithin = value >= 1 && value <= 10;
        if (isWithin) expect(setting.parse(String(value))).toBe(value);
        else expect(() => setting.parse(String(value))).toThrow(SettingError);
      }),
    );
  });

  test('its default may depend on the machine, and is told in words', () => {
    const perCpu = integer({
      default: ({ cpus }) => Math.floor(cpus),
      defaultText: 'one for each CPU',
      min: 1,
      max: 64,
      about: 'x',
    });
    expect(perCpu.fallback({ cpus: 2.5 })).toBe(2);
    expect(perCpu.fallbackText).toBe('one for each CPU');
    expect(setting.fallbackText).toBe('5');
  });

  test('shows only the beginning of a long value', () => {
    const message = messageOf(() => setting.parse('x'.repeat(10_000)));
    expect(message).toContain(`${'x'.repeat(60)}…`);
    expect(message.length).toBeLessThan(200);
  });
});

describe('one of a few words', () => {
  const setting = choice({ default: 'info', words: ['info', 'warn'], about: 'x' });

  test('takes its words, with space around them', () => {
    expect(setting.parse(' warn ')).toBe('warn');
    expect(setting.fallback({ cpus: 1 })).toBe('info');
  });

  test.each(['', 'WARN', 'debug', 'info,warn'])('refuses %j and names the words', (written) => {
    expect(() => setting.parse(written)).toThrow(`"${written}" is not one of info, warn`);
  });
});

describe('true or false', () => {
  const setting = flag({ default: false, about: 'x' });

  test.each([
    ['true', true],
    ['FALSE', false],
    [' True ', true],
  ])('takes %j', (written, value) => {
    expect(setting.parse(written)).toBe(value);
  });

  test.each(['', '1', '0', 'yes', 'truefalse'])('refuses %j', (written) => {
    expect(() => setting.parse(written)).toThrow('is not true or false');
  });
});

describe('text', () => {
  test('is taken as it is', () => {
    const setting = text({ default: 'a', about: 'x' });
    expect(setting.parse('  /some where ')).toBe('  /some where ');
    expect(setting.parse('')).toBe('');
  });

  test.each([['with a NUL\0byte'], ['x'.repeat(4097)]])('is refused %#', (written) => {
    expect(() => text({ default: '', about: 'x' }).parse(written)).toThrow(SettingError);
  });

  test.each(['', '   '])('that must not be empty is refused as %j', (written) => {
    const setting = text({ default: 'a', needed: true, about: 'x' });
    expect(() => setting.parse(written)).toThrow('text that is not empty');
    expect(setting.parse('b')).toBe('b');
  });

  test('without a default says so', () => {
    expect(text({ default: '', about: 'x' }).fallbackText).toBe('none');
  });
});

describe('an amount of memory', () => {
  const setting = memoryAmount({ default: '80%', minBytes: MIB, about: 'x' });

  test.each([
    ['1048576', MIB],
    ['512M', 512 * MIB],
    ['512 mb', 512 * MIB],
    ['512MiB', 512 * MIB],
    ['2GiB', 2 ** 31],
    ['1.5g', 1.5 * 2 ** 30],
    ['2048k', 2 * MIB],
    ['1T', 2 ** 40],
    ['1048576.9 B', MIB],
  ])('%j is %d bytes', (written, bytes) => {
    expect(setting.parse(written)).toEqual({ kind: 'bytes', bytes });
  });

  test.each([
    ['80%', 80],
    ['1 %', 1],
    ['100%', 100],
    ['12.5%', 12.5],
  ])('%j is %d percent', (written, percent) => {
    expect(setting.parse(written)).toEqual({ kind: 'percent', percent });
  });

  test.each([
    '',
    '%',
    '0%',
    '0.5%',
    '100.1%',
    '101%',
    '-5%',
    '80%%',
    '1048575',
    '1K',
    '-1G',
    '1e9',
    '512X',
    '1 G B',
    'G',
    '999999999999999T',
  ])('refuses %j with its bounds', (written) => {
    expect(() => setting.parse(written)).toThrow(SettingError);
    expect(() => setting.parse(written)).toThrow(`bytes of at least ${MIB}`);
  });

  test('is whole bytes of at least the minimum, or a percentage, or refused', () => {
    const written = fc.oneof(
      fc.string(),
      fc
        .tuple(fc.double({ min: 0, noNaN: true }), fc.constantFrom('', 'K', 'MiB', 'gb', 'T', '%'))
        .map(([amount, unit]) => `${amount}${unit}`),
    );
    fc.assert(
      fc.property(written, (value) => {
        try {
          const amount = setting.parse(value);
          if (amount.kind === 'percent') {
            expect(amount.percent >= 1 && amount.percent <= 100).toBe(true);
          } else {
            expect(Number.isSafeInteger(amount.bytes) && amount.bytes >= MIB).toBe(true);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(SettingError);
        }
      }),
    );
  });

  test('comes to bytes; a percentage is of the whole', () => {
    const total = 1000 * MIB;
    expect(amountInBytes({ kind: 'percent', percent: 80 }, total)).toBe(800 * MIB);
    expect(amountInBytes({ kind: 'percent', percent: 33 }, 10)).toBe(3);
    expect(amountInBytes({ kind: 'bytes', bytes: 512 }, total)).toBe(512);
    expect(amountInBytes({ kind: 'bytes', bytes: 2 * total }, total)).toBe(2 * total);
  });
});

function messageOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error('nothing was refused');
}
