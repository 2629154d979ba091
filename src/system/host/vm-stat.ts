import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** What `vm_stat` of macOS says of the machine. */
export interface VmStat {
  readonly freeBytes: number;
  /** Free, speculative and inactive pages: what new work can get without swapping. */
  readonly availableBytes: number;
  /** File-backed pages. */
  readonly cachedBytes: number;
}

/**
 * Reads the output of vm_stat(1). Available is what psutil takes for macOS: free + inactive pages, where vm_stat prints
 * speculative pages apart from the free ones. Undefined for text of another form.
 */
export function parseVmStat(text: string): VmStat | undefined {
  const pageBytes = Number(/page size of (\d{1,7}) bytes/.exec(text)?.[1] ?? Number.NaN);
  const bytesOf = (name: string) =>
    pageBytes * Number(new RegExp(`^${name}:\\s+(\\d{1,12})\\.?$`, 'm').exec(text)?.[1] ?? 0);
  const freeBytes = bytesOf('Pages free') + bytesOf('Pages speculative');
  const availableBytes = freeBytes + bytesOf('Pages inactive');
  if (!(availableBytes > 0)) return undefined;
  return { freeBytes, availableBytes, cachedBytes: bytesOf('File-backed pages') };
}

const run = promisify(execFile);
/** Each reading starts a process, so it holds good for a while. */
const MAX_AGE_MS = 5000;
const TIMEOUT_MS = 2000;
let last: { readonly atMs: number; readonly reading: Promise<VmStat | undefined> } | undefined;

/** The reading now, or that of a moment ago; undefined where there is no `vm_stat`, or it gives nothing in time. */
export function readVmStat(): Promise<VmStat | undefined> {
  const now = performance.now();
  if (last === undefined || now - last.atMs >= MAX_AGE_MS) {
    const reading = run('/usr/bin/vm_stat', { timeout: TIMEOUT_MS }).then(
      ({ stdout }) => parseVmStat(stdout),
      () => undefined,
    );
    last = { atMs: now, reading };
  }
  return last.reading;
}
