import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { exitCodeOf, StopSignals } from '../../../../src/system/process/stop-signals.js';

test('the first signal is told; a further one does what was said, and nothing before that', async () => {
  const from = new EventEmitter();
  const signals = new StopSignals(from);
  from.emit('SIGHUP', 'SIGHUP');
  from.emit('SIGTERM', 'SIGTERM');
  expect(await signals.first).toBe('SIGHUP');
  const further: string[] = [];
  signals.onFurther((signal) => void further.push(signal));
  from.emit('SIGINT', 'SIGINT');
  expect(further).toEqual(['SIGINT']);
});

test('exit codes are those of shells', () => {
  expect([exitCodeOf('SIGHUP'), exitCodeOf('SIGINT'), exitCodeOf('SIGTERM')]).toEqual([
    ...[129, 130, 143],
  ]);
});
