import { expect, test } from 'vitest';
import { hypothesesOf } from '../../../src/tasks/hypothesis-template.js';

/** What Python's `template.format(label)` gives for the label `a{}b`. */
test.each([
  ['This is {}.', 'This is a{}b.'],
  ['{}', 'a{}b'],
  ['{0} or not {0}', 'a{}b or not a{}b'],
  ['{:s}, {{so}} it is}}', 'a{}b, {so} it is}'],
  ['{!s} {{}}', 'a{}b {}'],
  ['{0!s:s}', 'a{}b'],
  ['{{{}}}', '{a{}b}'],
  ['{:}', 'a{}b'],
])('%s', (template, expected) => {
  expect(hypothesesOf(['a{}b', 'c'], template)).toEqual([
    expected,
    expected.replaceAll('a{}b', 'c'),
  ]);
});

test.each([
  ['no label', /has to hold \{\} once/],
  ['{{}}', /has to hold \{\} once/],
  ['{} {}', /has to hold \{\} once/],
  ['{} {0}', /has to hold \{\} once/],
  ['{x}', /has "\{x\}", which is no place for a label/],
  ['{1}', /has "\{1\}"/],
  ['{:>5}', /has "\{:>5\}"/],
  ['{!r}', /has "\{!r\}"/],
  ['{} }', /has "\}"/],
  ['{ {}', /has "\{"/],
  ['{}{', /has "\{"/],
])('%s is refused', (template, message) => {
  expect(() => hypothesesOf(['a'], template)).toThrow(message);
});

test('there is a label', () => {
  expect(() => hypothesesOf([], '{}')).toThrow(/no candidate labels/);
});

test('a thousand labels in a template that names its label a thousand times are refused before they are put together', () => {
  const labels = Array.from({ length: 1024 }, (_, index) => `${index}`.padEnd(1000, 'x'));
  const message = /1024 labels have 3412992000 characters together; the most is 4194304/;
  expect(() => hypothesesOf(labels, '{0}'.repeat(3333))).toThrow(message);
  expect(hypothesesOf(labels, 'This example is {}.')).toHaveLength(1024);
});
