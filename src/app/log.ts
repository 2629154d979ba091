import { type Logger, pino } from 'pino';
import { prettyFactory } from 'pino-pretty';
import { LogOutput, openLogDescriptor } from './log-output.js';

export type { Logger };

const STDOUT = 1;
/** pino's number for the level `warn`. */
const WARN = 40;

/** The server's log. */
export interface Log {
  readonly logger: Logger;
  /** Lines that were dropped because the output took none. */
  readonly lostLines: () => number;
  /** Writes what waits; call it before the process ends. */
  readonly end: () => void;
}

/**
 * A log to stdout: JSON lines, or lines for people where a terminal (or the setting) asks. Whatever
 * happens to stdout, writing to it neither blocks nor throws, see {@link LogOutput}.
 */
export function createLog(options: {
  readonly level: string;
  readonly format: 'auto' | 'json' | 'pretty';
  readonly isTerminal: boolean;
}): Log {
  const forPeople =
    options.format === 'pretty' || (options.format === 'auto' && options.isTerminal);
  const format = forPeople ? linesForPeople(options.isTerminal) : undefined;
  const lossLine = (lostLines: number) => {
    const line = JSON.stringify({
      ...{ level: WARN, time: forPeople ? Date.now() : new Date().toISOString() },
      ...{ lost_lines: lostLines, msg: 'lines of this log were lost: its output took none' },
    });
    return format === undefined ? line : format(line).trimEnd();
  };
  const output = new LogOutput({ fd: openLogDescriptor(STDOUT), lossLine });
  const write =
    format === undefined ? output : { write: (line: string) => output.write(format(line)) };
  const time = forPeople ? {} : { timestamp: pino.stdTimeFunctions.isoTime };
  return {
    logger: pino({ level: options.level, base: null, ...time }, write),
    lostLines: () => output.lostLines,
    end: () => output.end(),
  };
}

/** In this process, not in pino's worker thread: a thread would cost several MB. */
function linesForPeople(colorize: boolean): (line: string) => string {
  return prettyFactory({ translateTime: 'HH:MM:ss.l', colorize });
}
