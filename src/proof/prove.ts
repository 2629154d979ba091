/**
 * `plimsoll prove`: play, collect, judge, report. The entry points of this folder: `runProof` for programs,
 * `prove` for the command line.
 */
import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import type { Criterion, Verdict } from './judge/criteria/criterion.js';
import { type ProofReport, REPORT_SCHEMA } from './judge/report-schema.js';
import { ProofClient } from './play/client.js';
import { InputError, readInputs } from './play/inputs.js';
import { runLoad } from './play/load.js';
import { describePlan, type Plan } from './play/plan.js';
import type { Disturber, LoadEvent } from './play/run.js';
import { failureReason } from './report/failure-reason.js';
import { Progress } from './report/progress.js';
import { buildReport, writeReport } from './report/report.js';

const DEFAULT_SEED = 1;
const DEFAULT_READING_INTERVAL_MS = 250;
const DEFAULT_REQUEST_TIMEOUT_MS = 30_000;
/** 128 + SIGINT, the exit code that shells report after Ctrl-C. */
const STOPPED_BY_HAND = 130;
/** The longest delay of a Node.js timer. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** Far above any report; a file that unpacks to more is not one. */
const MOST_REPORT = { maxOutputLength: 512 * 2 ** 20 };

/** Options of a proof, for a command, a route or a test. */
export interface ProofOptions {
  /** The server, for example `http://127.0.0.1:8000`. */
  readonly url: string;
  /** Key to ask the server with; none where it asks for none. */
  readonly key?: string | undefined;
  readonly plan: Plan;
  /** A `.jsonl` or `.jsonl.gz` file, or a folder of `.txt` files. */
  readonly inputs: string;
  /** Folder for `report.md`, `report.html`, `report.json` and `charts/`; created if missing. */
  readonly out: string;
  /** Model, or several separated by commas, assigned to users in turn; default: the server's default. */
  readonly model?: string | undefined;
  /** From 0 to 1; adds the criterion on labels. */
  readonly expectedAccuracy?: number | undefined;
  /** `report.json` or `report.json.gz` of an earlier run, to compare with. */
  readonly compare?: string | undefined;
  /** Time limit of the whole run; what was played until then is reported, with the verdict `failed`. */
  readonly timeoutMs: number;
  /** Time limit of one request. */
  readonly requestTimeoutMs?: number | undefined;
  readonly readingIntervalMs?: number | undefined;
  readonly seed?: number | undefined;
  /** Disturbs the server in the sessions of the `chaos` profile. */
  readonly disturber?: Disturber | undefined;
  /** Stops the run; the report of what was played is still written. */
  readonly signal: AbortSignal;
}

export interface ProofResult {
  /** The contents of all files. */
  readonly report: ProofReport;
  /** Path of `report.md`; the other files are beside it. */
  readonly reportPath: string;
}

export interface ProveOptions extends ProofOptions {
  /** Takes text as it is, line ends included, like `process.stdout.write`. */
  readonly write: (text: string) => void;
  readonly isTerminal: boolean;
  readonly columns?: number | undefined;
  /** Called for each event; it must not throw. */
  readonly observe?: ((event: LoadEvent) => void) | undefined;
}

export interface ProveResult {
  readonly verdict: Verdict;
  /** 0 when the proof passed, 1 when it failed, 130 when it was stopped by hand. */
  readonly exitCode: 0 | 1 | 130;
  /** Why the proof failed, in one line; null when it passed. */
  readonly reason: string | null;
  /** `report.md`; `report.json` lies beside it. */
  readonly reportPath: string;
}

/** The proof cannot begin; the message says why and what to do. No report is written. */
export class ProofError extends Error {
  override readonly name = 'ProofError';
}

/**
 * Runs a proof against a running server and writes its report. Prints nothing, ends no process.
 *
 * @param observe called for each event; it must not throw.
 * @throws {ProofError} when an option is out of bounds, the inputs cannot be read, or the server is not
 * there or not ready.
 */
export async function runProof(
  options: ProofOptions,
  observe: (event: LoadEvent) => void = () => undefined,
): Promise<ProofResult> {
  checkOptions(options);
  const inputSet = await readInputs(options.inputs).catch((error: unknown) => {
    throw error instanceof InputError ? new ProofError(error.message, { cause: error }) : error;
  });
  const earlier = options.compare === undefined ? null : await readReport(options.compare);
  const settings = {
    model: options.model,
    seed: options.seed ?? DEFAULT_SEED,
    readingIntervalMs: options.readingIntervalMs ?? DEFAULT_READING_INTERVAL_MS,
    requestTimeoutMs: options.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS,
    runTimeoutMs: options.timeoutMs,
  };
  await checkReady(options.url, settings.requestTimeoutMs, options.signal);
  const { url, key, plan, signal, disturber } = options;
  observe({ kind: 'run started' });
  const run = await runLoad({ url, key, plan, signal, disturber, inputSet, ...settings }, observe);
  const report = buildReport(run, {
    ...settings,
    url,
    model: options.model ?? null,
    expectedAccuracy: options.expectedAccuracy ?? null,
    earlier,
  });
  return { report, reportPath: await writeReport(options.out, report, run) };
}

/**
 * {@link runProof} with progress output and an exit code.
 *
 * @throws {ProofError} as {@link runProof}.
 */
export async function prove(options: ProveOptions): Promise<ProveResult> {
  const { url, plan, signal } = options;
  const progress = new Progress(options);
  const { report, reportPath } = await runProof(options, (event) => {
    if (event.kind === 'run started') {
      progress.line(`Proving ${url}, profile ${plan.profile}: ${describePlan(plan)}`);
    }
    progress.observe(event);
    options.observe?.(event);
  });
  progress.finish();
  for (const line of closingLines(report, reportPath)) progress.line(line);
  const { verdict } = report;
  const reason = failureReason(report);
  return { verdict, exitCode: exitCodeOf(report, signal), reason, reportPath };
}

function exitCodeOf({ verdict, run }: ProofReport, signal: AbortSignal): ProveResult['exitCode'] {
  if (run.stopped !== null && signal.aborted) return STOPPED_BY_HAND;
  return verdict === 'passed' ? 0 : 1;
}

function closingLines(report: ProofReport, path: string): readonly string[] {
  const { verdict, criteria, run } = report;
  const reason = failureReason(report);
  return [
    '',
    ...(run.stopped === null ? [] : [`Not finished: ${run.stopped}.`]),
    ...criteria.map((one) => `${mark(one)} ${one.claim}: ${one.value}`),
    '',
    ...(reason === null ? [] : [`Why: ${reason}`]),
    `Verdict: ${verdict}. Report: ${path}`,
  ];
}

function mark({ held }: Criterion): string {
  if (held === 'cannot tell') return '  ?  ';
  return held ? ' yes ' : ' NO  ';
}

/** @throws {ProofError} */
async function readReport(path: string): Promise<ProofReport> {
  try {
    const packed = await readFile(path);
    const text = path.endsWith('.gz') ? gunzipSync(packed, MOST_REPORT) : packed;
    const report: unknown = JSON.parse(text.toString('utf8'));
    const schema = typeof report === 'object' && report !== null && 'schema' in report;
    if (schema && report.schema === REPORT_SCHEMA) return report as ProofReport;
    throw new Error(`it is no report of schema ${REPORT_SCHEMA}`);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ProofError(`${path} cannot be compared with: ${why}`, { cause: error });
  }
}

function checkOptions(options: ProofOptions): void {
  const { sessions, durationMs, users, requests, ratePerS } = options.plan;
  const bounded = { sessions, durationMs, users, requests, ratePerS, timeoutMs: options.timeoutMs };
  for (const [name, value] of Object.entries(bounded)) {
    if (value === null) continue;
    if (!Number.isInteger(value) || value < 1 || value > MAX_TIMEOUT_MS) {
      throw new ProofError(
        `${name} must be a whole number from 1 to ${MAX_TIMEOUT_MS}, not ${value}`,
      );
    }
  }
  const accuracy = options.expectedAccuracy;
  if (accuracy !== undefined && !(accuracy >= 0 && accuracy <= 1)) {
    throw new ProofError(`the expected accuracy must be from 0 to 1, not ${accuracy}`);
  }
  if (!/^https?:\/\//.test(options.url) || !URL.canParse(options.url)) {
    throw new ProofError(`"${options.url}" is not an http:// or https:// address`);
  }
}

async function checkReady(url: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const client = new ProofClient({ url, requestTimeoutMs: timeoutMs, connections: 1 });
  try {
    const reply = await client.get('/health/ready', { signal });
    if (reply.ok) return;
    if (reply.code === 'ABORTED') throw new ProofError('stopped before the proof began');
    if (reply.status > 0) {
      throw new ProofError(
        `the server at ${url} is not ready (HTTP ${reply.status}, ${reply.message}); wait until GET /health/ready answers 200`,
      );
    }
    throw new ProofError(
      `no Plimsoll server answers at ${url} (${reply.code}: ${reply.message}); start one with "plimsoll serve", or leave the address out to have one started`,
    );
  } finally {
    client.close();
  }
}
