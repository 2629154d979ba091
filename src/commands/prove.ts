import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../errors.js';
import { type Plan, usualTimeoutMs } from '../proof/play/plan.js';
import type { LoadEvent } from '../proof/play/run.js';
import { ProofError, prove as runProof } from '../proof/prove.js';
import { SettingError } from '../settings/setting.js';
import { type CommonFlags, configFrom, countFlag } from './flags.js';
import { startOwnServer } from './own-server.js';
import { planChaos } from './prove-chaos.js';
import { type PlanFlags, planFrom } from './prove-plan.js';

export interface ProveFlags extends CommonFlags, PlanFlags {
  readonly url?: string;
  readonly inputs?: string;
  readonly model?: string;
  readonly compare?: string;
  readonly out: string;
  readonly timeout?: string;
}

/** What a program that started this one is told over its channel. */
type ProofMessage =
  | { readonly sessions_done: number; readonly sessions_total: number }
  /** Why the proof failed or broke off. */
  | { readonly reason: string };

/** Real mails that the bundled model has never seen. */
const HELD_OUT_MAILS = fileURLToPath(
  new URL('../../models/spam/held-out/mails.jsonl.gz', import.meta.url),
);

/** The accuracy that the bundled model reached on them when it was trained. */
const BUNDLED_METRICS = new URL('../../models/spam/metrics.json', import.meta.url);
const BUNDLED_MODEL = 'spam';

/** `plimsoll prove`: exits 0 if the verdict is positive, 1 if not, 130 if it was stopped by hand. */
export async function prove(flags: ProveFlags): Promise<number> {
  const plan = planFrom(flags);
  const timeoutMs =
    flags.timeout === undefined ? usualTimeoutMs(plan) : countFlag('timeout', flags.timeout) * 1000;
  if (flags.url !== undefined && !URL.canParse(flags.url)) {
    throw new SettingError(`--url ${flags.url}: it takes an address such as http://127.0.0.1:8000`);
  }
  if (flags.url !== undefined && plan.profile === 'chaos') {
    throw new SettingError(
      '--profile chaos kills workers and cuts connections: it takes a server of its own, without --url',
    );
  }
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  process.once('disconnect', interrupt);
  // Whoever started it may listen; the open channel must not keep this process alive.
  process.channel?.unref();
  mkdirSync(flags.out, { recursive: true });
  const chaos = plan.profile === 'chaos' ? await planChaos(flags) : undefined;
  const needed = [...settingsFor(plan), ...(chaos?.settings ?? [])];
  const log = path.join(flags.out, 'server.log');
  const own =
    flags.url === undefined
      ? await startOwnServer(chaos?.flags ?? flags, log, needed, chaos?.environment)
      : undefined;
  try {
    const result = await runProof({
      url: own?.url ?? flags.url ?? '',
      key: own === undefined ? (await configFrom(flags)).config['prove.key'] : undefined,
      plan,
      inputs: flags.inputs ?? HELD_OUT_MAILS,
      out: flags.out,
      model: flags.model,
      compare: flags.compare,
      disturber: own && chaos?.disturber(own),
      expectedAccuracy: await expectedAccuracy(flags),
      timeoutMs,
      signal: stop.signal,
      write: (text) => process.stdout.write(text),
      isTerminal: process.stdout.isTTY === true,
      columns: process.stdout.columns,
      observe: (event) => tellParent(event, plan),
    });
    if (result.reason !== null) await sendToParent({ reason: result.reason });
    return result.exitCode;
  } catch (error) {
    await sendToParent({ reason: messageOf(error) });
    if (error instanceof ProofError) throw new Error(error.message, { cause: error });
    throw error;
  } finally {
    await own?.stop();
    await chaos?.stop();
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

/** Settings that a server needs for this plan. The caller's settings come after them and win. */
function settingsFor({ profile, users }: Plan): readonly string[] {
  const connections = profile === 'ramp' ? [`http.max_connections=${users + 64}`] : [];
  return [`session.max_users=${users}`, ...connections];
}

/** Reports progress to the program that started this one over a channel (see `proof-runs.ts`). */
function tellParent(event: LoadEvent, { sessions }: Plan): void {
  if (event.kind !== 'run started' && event.kind !== 'session ended') return;
  const done = event.kind === 'run started' ? 0 : event.session.number;
  void sendToParent({ sessions_done: done, sessions_total: sessions ?? 0 });
}

/** Resolves when the message is sent; a parent that has gone meanwhile is no failure of the proof. */
async function sendToParent(message: ProofMessage): Promise<void> {
  await new Promise<void>((resolve) => {
    if (process.send === undefined || !process.connected) resolve();
    else process.send(message, () => resolve());
  });
}

/**
 * The accuracy that the bundled model reached on the held-out mails, if that model is asked about those mails; else undefined.
 *
 * @throws Error when the bundled metrics lack the figure.
 */
async function expectedAccuracy(flags: ProveFlags): Promise<number | undefined> {
  if (flags.url !== undefined || flags.inputs !== undefined) return undefined;
  // The server that is started reads the same flags and environment.
  const { config } = await configFrom(flags);
  const model = flags.model ?? (config['models.default'] || BUNDLED_MODEL);
  if (config.models !== '' || model !== BUNDLED_MODEL) return undefined;
  const metrics: { held_out?: { accuracy?: { value?: unknown } } } = JSON.parse(
    readFileSync(BUNDLED_METRICS, 'utf8'),
  );
  const value = metrics.held_out?.accuracy?.value;
  if (typeof value === 'number') return value;
  throw new Error(`${fileURLToPath(BUNDLED_METRICS)} has no accuracy on the held-out mails`);
}
