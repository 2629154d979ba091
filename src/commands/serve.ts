import { App } from '../app/app.js';
import { createLog } from '../app/log.js';
import { type CommonFlags, configFrom } from './flags.js';
import { fetchNamedModels, StoppedError } from './hub-models.js';

/** Exit code after Ctrl-C before it served: 128 and the number of SIGINT, as shells have it. */
const STOPPED_BY_HAND = 130;

/**
 * `plimsoll serve`: runs until it is asked to stop; exits 0 when everything has ended in time.
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
    return STOPPED_BY_HAND;
  }
  const output = createLog({
    level: config['log.level'],
    format: config['log.format'],
    isTerminal: process.stdout.isTTY === true,
  });
  const log = output.logger;
  for (const warning of warnings) log.warn(warning);
  const app = await App.create(config, cpus, output);
  const signal = whenAskedToStop();
  try {
    const address = await app.start();
    started();
    log.info({ address }, `Plimsoll listens on ${address} (interface: ${address}/docs)`);
  } catch (error) {
    await app.stop();
    output.end();
    throw error;
  }
  const { 'shutdown.drain_ms': drainMs, 'shutdown.grace_ms': graceMs } = config;
  log.info({ signal: await signal, drainMs }, 'stopping: finishing what runs');
  const stopped = await withinGrace(app.stop(), drainMs + graceMs);
  log.info(stopped ? 'stopped' : 'the grace time is over; leaving what still runs');
  output.end();
  // Timers and sockets of parts that have not ended in time must not hold the process.
  if (!stopped) process.exit(1);
  return 0;
}

/** SIGHUP comes when the terminal closes; its default would end the process without a cleanup. */
function whenAskedToStop(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      process.on(signal, () => resolve(signal));
    }
  });
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
