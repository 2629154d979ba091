/** Tells which form of a model serves: in the log, as an event, as a receipt, and to callers. */
import type { ShownVerdict } from '../../contract/models.js';
import { toInstant, toMs } from '../../contract/units.js';
import { ShadowChecks } from '../../inference/shadow-checks.js';
import type { WorkerPool } from '../../inference/workers/pool.js';
import type { MemoryManager } from '../../memory/manager.js';
import { newReceiptId, type Receipt, shownReceipt } from '../../memory/receipt.js';
import { figuresOf, type SnapshotFigures } from '../../memory/snapshot.js';
import { type Verdict, verdictLine } from '../../models/compile/verify/verdict.js';
import type { Bounds } from '../../models/intake/verification.js';
import type { ModelLibrary } from '../../models/library.js';
import type { EventPublisher } from '../../page/publisher.js';
import { batchTimeoutMs, type Config } from '../../settings/config.js';
import type { Archive } from '../archive/archive.js';
import type { Logger } from '../log.js';

/** What faster forms are held against. */
export function boundsIn(config: Config): Bounds {
  const { 'verify.labels': labels, 'verify.shift': shift, 'verify.speedup': speedup } = config;
  return { labels, shift, speedup };
}

/** A verdict as callers see it, and as its receipt keeps it. */
export function shownVerdict({ form, reason, ...of }: Verdict): ShownVerdict {
  return {
    ...{ form, reason, at: toInstant(of.atMs), took_ms: toMs(of.ms) },
    ...{ least_labels_percent: of.bounds.labels, most_shift: of.bounds.shift },
    least_speedup: of.bounds.speedup,
    candidates: of.candidates.map((candidate) => ({
      ...{ form: candidate.form, outcome: candidate.outcome, reason: candidate.reason },
      ...agreementOf(candidate),
      ...speedOf(candidate),
    })),
  };
}

function agreementOf({ agreement }: Verdict['candidates'][number]) {
  if (agreement === undefined) return {};
  const { rows, labels, clearFlips, nearFlips, shift, neighbours } = agreement;
  const flips = { clear_flips: clearFlips, near_flips: nearFlips };
  return { rows, labels_percent: labels, ...flips, shift, neighbours };
}

function speedOf({ speed }: Verdict['candidates'][number]) {
  return speed === undefined ? {} : { one_row_speedup: speed.oneRow, batch_speedup: speed.batch };
}

/** Logs a verdict, keeps it as an event and as a receipt of kind `verdict`, and shows that on open pages. */
export function tellVerdict(
  model: string,
  verdict: Verdict,
  to: {
    readonly log: Logger;
    readonly archive: Archive;
    readonly memory: MemoryManager;
    readonly events: EventPublisher;
  },
): void {
  const text = `${model}: ${verdictLine(verdict)}`;
  // One that was only no faster is nobody's trouble.
  const isRefused = verdict.candidates.some(
    ({ outcome, reason }) => outcome === 'refused' && !reason.includes('verify.speedup'),
  );
  const { form, ms, candidates } = verdict;
  to.log[isRefused ? 'warn' : 'info']({ model, form, ms, candidates }, `verdict: ${text}`);
  to.archive.keepEvent({ kind: 'verdict', text, model });
  const { last } = to.memory.reader;
  const figures = last === undefined ? UNREAD : figuresOf(last);
  const receipt = receiptOf(model, verdict, figures);
  to.archive.keepReceipt(receipt);
  const shown = { text: `verdict of ${model}: ${form} serves`, receipt: shownReceipt(receipt) };
  to.events.mark({ kind: 'receipt', model, ...shown });
}

/** Before the first reading nothing is known of memory. */
const UNREAD: SnapshotFigures = {
  ...{ serverTotalBytes: 0, serverUsedBytes: 0, serverPercent: 0, privateBytes: 0, pssBytes: 0 },
};

function receiptOf(model: string, verdict: Verdict, figures: SnapshotFigures): Receipt {
  const startedAtMs = verdict.atMs - verdict.ms;
  return {
    ...{
      id: newReceiptId(verdict.atMs),
      kind: 'verdict',
      cause: 'compared with fp32',
      session: null,
      startedAtMs,
    },
    ...{ durationMs: verdict.ms, before: figures, after: figures },
    actions: [{ action: `${verdict.form} serves`, model, durationMs: verdict.ms, freedBytes: 0 }],
    verdict: shownVerdict(verdict),
  };
}

/** The comparison of live inputs, joined to the server's parts. */
export function shadowChecks(
  parts: {
    readonly pool: WorkerPool;
    readonly memory: MemoryManager;
    readonly library: ModelLibrary;
    readonly dispatcher: { readonly waitingCount: number };
  },
  { config, log }: { readonly config: Config; readonly log: Logger },
  threads: number,
): ShadowChecks {
  const { pool, memory, library } = parts;
  return new ShadowChecks({
    every: config['verify.every'],
    count: config['verify.count'],
    threads,
    timeoutMs: batchTimeoutMs(config),
    workers: () => pool.workers,
    isQuiet: () => parts.dispatcher.waitingCount === 0 && memory.holding.size === 0,
    admission: memory.admission,
    referenceOf: (ready) => library.referenceOf(ready),
    onDisagreement: (ready, reason) => {
      library.revoke(ready, reason).catch((error: unknown) => {
        log.error({ err: error, model: ready.model.id }, 'the fp32 form could not be taken up');
      });
    },
    onDone: (facts) => log.info(facts, 'live inputs agree with fp32'),
  });
}
