import { App } from '../app/app.js';
import { createLog, type Log } from '../app/log.js';
import { exitCodeOf, StopSignals } from '../system/process/stop-signals.js';
import { type CommonFlags, configFrom } from './flags.js';
import { fetchNamedModels, StoppedError } from './hub-models.js';

/**
 * `plimsoll serve`: runs until it is asked to stop, also while it starts; exits 0 when everything has ended in time.
 *
 * @param started is called when it listens.
 */
export async function serve(flags: CommonFlags, started: () => void): Promise<number> {
  const { config, cpus, warnings } = await configFrom(flags);
  try {
    await fetchNamedModels(config);
  } catch (error) {
    if (!(error instanceof StoppedError)) throw error;
    process.stderr.write(`plimsoll: ${error.message}\n`);
    return exitCodeOf('SIGINT');
  }
  const output = createLog({
    level: config['log.level'],
    format: config['log.format'],
    isTerminal: process.stdout.isTTY === true,
  });
  const log = output.logger;
  for (const warning of warnings) log.warn(warning);
  const signals = new StopSignals();
  const { 'shutdown.drain_ms': drainMs, 'shutdown.grace_ms': graceMs } = config;
  const app = await unlessStopped(App.create(config, cpus, output), signals);
  if (app === undefined) return giveUpStart(undefined, signals, output, graceMs);
  try {
    const address = await unlessStopped(app.start(), signals);
    if (address === undefined) return await giveUpStart(app, signals, output, graceMs);
    started();
    log.info({ address }, `Plimsoll listens on ${address} (interface: ${address}/docs)`);
  } catch (error) {
    await app.stop();
    output.end();
    throw error;
  }
  log.info({ signal: await signals.first, drainMs }, 'stopping: finishing what runs');
  const stopped = await withinGrace(app.stop(), drainMs + graceMs);
  log.info(stopped ? 'stopped' : 'the grace time is over; leaving what still runs');
  output.end();
  // Timers and sockets of parts that have not ended in time must not hold the process.
  if (!stopped) process.exit(1);
  return 0;
}

/** A step of the start. @returns undefined if the process is asked to stop before it has ended. */
async function unlessStopped<T>(step: Promise<T>, signals: StopSignals): Promise<T | undefined> {
  const result = await Promise.race([step, signals.first.then(() => undefined)]);
  // What fails because the start was given up is nobody's fault.
  if (result === undefined) step.catch(() => undefined);
  return result;
}

/**
 * Ends a server that has not started yet. The start may hang, so it is not waited for: what it may still begin ends with the
 * process. A second signal ends that at once.
 *
 * @param app undefined before there is anything to stop.
 * @returns never: the process exits.
 */
async function giveUpStart(
  app: App | undefined,
  signals: StopSignals,
  output: Log,
  graceMs: number,
): Promise<never> {
  const log = output.logger;
  const signal = await signals.first;
  signals.onFurther((further) => process.exit(exitCodeOf(further)));
  log.info({ signal }, 'stopping: the start is given up');
  const stopped = app === undefined || (await withinGrace(app.stop(), graceMs));
  log.info(stopped ? 'stopped' : 'the grace time is over; leaving what still runs');
  output.end();
  process.exit(stopped ? 0 : 1);
}

async function withinGrace(work: Promise<boolean>, graceMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), graceMs);
  });
  const stopped = await Promise.race([work, late]);
  clearTimeout(timer);
  return stopped;
}
