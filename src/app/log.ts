import { type Logger, pino } from 'pino';
import pretty from 'pino-pretty';

export type { Logger };

/** A logger to stdout: JSON lines, or lines for people where a terminal (or the setting) asks. */
export function createLogger(options: {
  readonly level: string;
  readonly format: 'auto' | 'json' | 'pretty';
  readonly isTerminal: boolean;
}): Logger {
  const forPeople =
    options.format === 'pretty' || (options.format === 'auto' && options.isTerminal);
  const base = { level: options.level, base: null };
  if (!forPeople) return pino({ ...base, timestamp: pino.stdTimeFunctions.isoTime });
  // In this process, not in pino's worker thread: a thread would cost several MB.
  return pino(
    base,
    pretty({ sync: true, translateTime: 'HH:MM:ss.l', colorize: options.isTerminal }),
  );
}
