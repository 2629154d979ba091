import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ProofError, prove as runProof } from '../proof/prove.js';
import { SettingError } from '../settings.js';
import { type CommonFlags, countFlag } from './flags.js';
import { startOwnServer } from './own-server.js';

export interface ProveFlags extends CommonFlags {
  readonly url?: string;
  readonly sessions: string;
  readonly users: string;
  readonly requests: string;
  readonly inputs?: string;
  readonly model?: string;
  readonly out: string;
  readonly timeout: string;
}

/** Real mails that the bundled model has never seen. */
const HELD_OUT_MAILS = fileURLToPath(
  new URL('../../models/spam/held-out/mails.jsonl.gz', import.meta.url),
);

/** `plimsoll prove`: exits 0 if the verdict is positive, 1 if not. */
export async function prove(flags: ProveFlags): Promise<number> {
  const counts = {
    sessions: countFlag('sessions', flags.sessions),
    users: countFlag('users', flags.users),
    requests: countFlag('requests', flags.requests),
  };
  const timeoutMs = countFlag('timeout', flags.timeout) * 1000;
  if (flags.url !== undefined && !URL.canParse(flags.url)) {
    throw new SettingError(`--url ${flags.url}: it takes an address such as http://127.0.0.1:8000`);
  }
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  mkdirSync(flags.out, { recursive: true });
  const own =
    flags.url === undefined
      ? await startOwnServer(flags, path.join(flags.out, 'server.log'), counts.users)
      : undefined;
  try {
    const result = await runProof({
      url: own?.url ?? flags.url ?? '',
      ...counts,
      inputs: flags.inputs ?? HELD_OUT_MAILS,
      out: flags.out,
      model: flags.model,
      timeoutMs,
      signal: stop.signal,
      write: (text) => process.stdout.write(text),
      isTerminal: process.stdout.isTTY === true,
      columns: process.stdout.columns,
    });
    return result.exitCode;
  } catch (error) {
    if (error instanceof ProofError) throw new Error(error.message, { cause: error });
    throw error;
  } finally {
    await own?.stop();
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}
