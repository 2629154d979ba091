import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  PROOF_PROFILES,
  PROOF_STATES,
  type ProofProfile,
  type ProofView,
} from '../contract/proofs.js';
import { isNumber, isOneOf, isText, orMissing, orNull, shapeOf } from '../contract/schema/shape.js';
import { messageOf, PlimsollError, systemCodeOf } from '../errors.js';
import { PROVE_KEY_VARIABLE } from '../settings/areas/http.js';
import { FileLock } from '../store/data-slot.js';

const isRecord = shapeOf<Omit<ProofView, 'reason'> & Partial<Pick<ProofView, 'reason'>>>({
  ...{ id: isText, state: isOneOf(PROOF_STATES), profile: isOneOf(PROOF_PROFILES) },
  ...{ started_at: isText, ended_at: orNull(isText), report_url: orNull(isText) },
  ...{ sessions_done: isNumber, sessions_total: isNumber },
  // Records of earlier versions have none.
  reason: orMissing(orNull(isText)),
});

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));
const RECORD = 'proof.json';
const REPORT = 'report.html';
/** Held by the server that runs the proof, as long as it runs: others may share the data folder. */
const LOCK = 'lock';
/** Proofs tell of users' texts and times. */
const PRIVATE_FOLDER = 0o700;
const PRIVATE_FILE = 0o600;
/** After SIGTERM it ends its session and writes the report of what was played. */
const STOP_MS = 5000;
/** For a command that hangs; normally its own `--timeout` ends it. */
const LIMIT_MS = 900_000;
/** Verdict by exit code. */
const STATES: Readonly<Record<number, 'passed' | 'failed'>> = { 0: 'passed', 1: 'failed' };

export interface ProofRunsOptions {
  /** Data folder; proofs are in `proofs/` below it. */
  readonly data: string;
  /** Proofs to keep; the oldest are removed. */
  readonly keep: number;
  /** Most users of a session; the profile's number is capped to it. */
  readonly maxUsers: number;
  readonly log: (line: string, facts: Readonly<Record<string, unknown>>) => void;
}

/** What `plimsoll prove` tells a program that started it: how far it is, or why it failed. */
type ProofMessage = Partial<Pick<ProofView, 'sessions_done' | 'sessions_total' | 'reason'>>;

/**
 * Proofs of this server that were requested over HTTP, one at a time. Each runs `plimsoll prove` in its own
 * process, so that it does not measure its own work.
 */
export class ProofRuns {
  readonly #options: ProofRunsOptions;
  readonly #folder: string;
  /** The oldest first. */
  readonly #proofs = new Map<string, ProofView>();
  /** Proofs that other servers on this data folder run. */
  readonly #elsewhere = new Set<string>();
  #url = '';
  #key = '';
  #running: { readonly child: ChildProcess; readonly ended: Promise<void> } | undefined;
  #starting = false;
  #stopped = false;

  constructor(options: ProofRunsOptions) {
    this.#options = options;
    this.#folder = path.join(options.data, 'proofs');
  }

  /**
   * Finds the proofs of earlier runs.
   *
   * @param address the server's address.
   * @param key that proofs ask with.
   */
  async start(address: string, key: string): Promise<void> {
    this.#url = loopbackOf(address);
    this.#key = key;
    // Earlier versions left it open to others. It need not be ours, nor be there.
    await chmod(this.#folder, PRIVATE_FOLDER).catch(() => undefined);
    const found = await Promise.all((await namesIn(this.#folder)).map((id) => this.#find(id)));
    const known = found.filter((proof) => proof !== undefined);
    known.sort((a, b) => a.started_at.localeCompare(b.started_at));
    for (const proof of known) this.#proofs.set(proof.id, proof);
  }

  /** The newest first. What other servers run is shown as it was at the last call. */
  list(): readonly ProofView[] {
    void this.#lookElsewhere();
    return [...this.#proofs.values()].reverse();
  }

  /** Starts one. @throws PlimsollError PROOF_RUNNING, SHUTTING_DOWN, INVALID_REQUEST */
  async run(profile: ProofProfile): Promise<ProofView> {
    if (this.#stopped) throw new PlimsollError('SHUTTING_DOWN', 'the server is stopping');
    if (!this.#url.startsWith('http')) {
      const message = 'a proof needs a port: this server listens on a Unix socket';
      throw new PlimsollError('INVALID_REQUEST', message);
    }
    if (this.#starting || this.#running !== undefined) {
      throw new PlimsollError('PROOF_RUNNING', 'a proof is running; its state is at /v1/proofs', {
        retryAfterSeconds: 5,
      });
    }
    this.#starting = true;
    try {
      return await this.#begin(profile);
    } finally {
      this.#starting = false;
    }
  }

  /** `report.html` of a proof that has ended. @throws PlimsollError PROOF_NOT_FOUND */
  async report(id: string): Promise<Buffer> {
    if (!this.#proofs.has(id)) throw new PlimsollError('PROOF_NOT_FOUND', `no proof ${id}`);
    try {
      return await readFile(path.join(this.#folder, id, REPORT));
    } catch (error) {
      if (systemCodeOf(error) !== 'ENOENT') throw error;
      throw new PlimsollError('PROOF_NOT_FOUND', `proof ${id} has no report`);
    }
  }

  /** Ends the running proof; its report covers what was played so far. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const running = this.#running;
    if (running === undefined) return;
    running.child.kill('SIGTERM');
    const timer = setTimeout(() => running.child.kill('SIGKILL'), STOP_MS);
    await running.ended;
    clearTimeout(timer);
  }

  async #begin(profile: ProofProfile): Promise<ProofView> {
    const proof: ProofView = {
      id: `p_${randomBytes(8).toString('hex')}`,
      profile,
      state: 'running',
      started_at: new Date().toISOString(),
      ended_at: null,
      sessions_done: 0,
      sessions_total: 0,
      report_url: null,
      reason: null,
    };
    const folder = path.join(this.#folder, proof.id);
    await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER });
    const lock = FileLock.take(path.join(folder, LOCK));
    try {
      await this.#keep(proof);
      await this.#dropOldest();
      if (this.#stopped) throw new PlimsollError('SHUTTING_DOWN', 'the server is stopping');
      const child = this.#spawn(proof);
      const ended = this.#follow(proof.id, child)
        .catch((error: unknown) => {
          // Nobody waits for it but a stop, and a failure that nobody takes would end the server.
          const facts = { proof: proof.id, reason: messageOf(error) };
          this.#options.log('a proof’s end could not be followed', facts);
        })
        .finally(() => {
          this.#running = undefined;
          lock?.release();
        });
      this.#running = { child, ended };
      return proof;
    } catch (error) {
      lock?.release();
      throw error;
    }
  }

  #spawn({ id }: ProofView): ChildProcess {
    const out = path.join(this.#folder, id);
    const { maxUsers } = this.#options;
    const args = ['prove', '--url', this.#url, '--out', out];
    if (maxUsers < 8) args.push('--users', String(maxUsers));
    const env = { ...process.env, [PROVE_KEY_VARIABLE]: this.#key, ...ownCertificate(this.#url) };
    const child = fork(MAIN, args, { env, execArgv: [], stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    const log = createWriteStream(path.join(out, 'output.log'), { mode: PRIVATE_FILE });
    log.on('error', (error) => this.#options.log('a proof’s output is lost', { id, err: error }));
    child.stdout?.pipe(log, { end: false });
    child.stderr?.pipe(log, { end: false });
    child.on('close', () => log.end());
    child.on('message', (message: ProofMessage) => this.#change(id, message));
    return child;
  }

  /** Resolves when the process has ended and its record is written, as far as that is possible. */
  async #follow(id: string, child: ChildProcess): Promise<void> {
    const timer = setTimeout(() => {
      const reason = `It did not end within ${LIMIT_MS / 60_000} minutes and was stopped.`;
      this.#change(id, { reason });
      child.kill('SIGKILL');
    }, LIMIT_MS);
    const code = await new Promise<number | null>((resolve) => {
      child.on('error', () => resolve(null));
      child.on('close', resolve);
    });
    clearTimeout(timer);
    const reported = await this.#hasReport(id);
    const ended_at = new Date().toISOString();
    // A proof that was stopped exits with another code: it has a report but no verdict.
    const state = (reported && STATES[code ?? -1]) || 'broken';
    this.#change(id, { state, ended_at, report_url: reported ? urlOf(id) : null });
    const told = this.#proofs.get(id)?.reason ?? null;
    if (state === 'broken' && told === null) {
      this.#change(id, {
        reason: 'Its process ended without a verdict; its output is in output.log.',
      });
    }
    this.#options.log('a proof has ended', { proof: id, state, code });
    const proof = this.#proofs.get(id);
    if (proof === undefined) return;
    await this.#keep(proof).catch((error: unknown) => {
      this.#options.log('a proof could not be recorded', { proof: id, reason: messageOf(error) });
    });
  }

  async #hasReport(id: string): Promise<boolean> {
    try {
      return (await namesIn(path.join(this.#folder, id))).includes(REPORT);
    } catch (error) {
      this.#options.log('a proof’s folder cannot be read', {
        proof: id,
        reason: messageOf(error),
      });
      return false;
    }
  }

  #change(id: string, what: Partial<ProofView>): void {
    const proof = this.#proofs.get(id);
    if (proof !== undefined) this.#proofs.set(id, { ...proof, ...what });
  }

  /** Written to a temporary file and renamed, so that a kill leaves the old record or the new one. */
  async #keep(proof: ProofView): Promise<void> {
    this.#proofs.set(proof.id, proof);
    const file = path.join(this.#folder, proof.id, RECORD);
    const text = `${JSON.stringify(proof, null, 2)}\n`;
    await writeFile(`${file}.part`, text, { mode: PRIVATE_FILE });
    await rename(`${file}.part`, file);
  }

  async #dropOldest(): Promise<void> {
    const over = [...this.#proofs.values()].slice(0, -this.#options.keep);
    for (const { id, state } of over) {
      if (state === 'running') continue;
      this.#proofs.delete(id);
      await rm(path.join(this.#folder, id), { recursive: true, force: true });
    }
  }

  /** Reads again what other servers ran when it was last read. */
  async #lookElsewhere(): Promise<void> {
    const known = [...this.#elsewhere];
    this.#elsewhere.clear();
    for (const id of known) {
      const proof = await this.#find(id);
      if (proof !== undefined && this.#proofs.has(id)) this.#proofs.set(id, proof);
    }
  }

  /** Whether another server runs it: nobody holds the lock of a server that was killed. */
  #runsElsewhere(id: string): boolean {
    const lock = FileLock.take(path.join(this.#folder, id, LOCK));
    lock?.release();
    if (lock === undefined) this.#elsewhere.add(id);
    return lock === undefined;
  }

  /** A record that says `running` is another server's, or from one that was killed. */
  async #find(id: string): Promise<ProofView | undefined> {
    try {
      const text = await readFile(path.join(this.#folder, id, RECORD), 'utf8');
      const proof: unknown = JSON.parse(text);
      if (!isRecord(proof)) throw new Error('it is no record of a proof');
      const { reason = null } = proof;
      if (proof.state !== 'running' || this.#runsElsewhere(id)) return { ...proof, reason };
      return { ...proof, state: 'broken', reason: 'The server ended while the proof was running.' };
    } catch (error) {
      this.#options.log('a proof’s record cannot be read', { proof: id, reason: messageOf(error) });
      return undefined;
    }
  }
}

/** The server's certificate is of its public name, and the proof asks it by its loopback address. */
function ownCertificate(url: string): Readonly<Record<string, string>> {
  return url.startsWith('https:') ? { NODE_TLS_REJECT_UNAUTHORIZED: '0' } : {};
}

function urlOf(id: string): string {
  return `/v1/proofs/${id}/report`;
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return await readdir(folder).catch((error: unknown) => {
    if (systemCodeOf(error) === 'ENOENT') return [];
    throw error;
  });
}

/** The loopback address for a server that listens on every address. */
export function loopbackOf(address: string): string {
  return address.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');
}
