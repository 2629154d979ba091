import type { HostFacts } from './host-facts.js';

/** A line for the log at the start. `warn`: the operator should change it; `info`: good to know when figures differ. */
export interface HostNote {
  readonly level: 'warn' | 'info';
  readonly text: string;
}

/**
 * Files beside the connections of clients that are served: some 50 of the server at rest, those that it reads at once, and
 * 64 connections that are taken in before others give way to them (`http/wire/connections.ts`).
 */
export const OWN_FILES = 192;
/** Share of the machine's swap that is in use from which on the machine is said to swap. */
const SWAPS_FROM = 0.1;
const MB = 2 ** 20;

/** Connections that the limit of open files leaves room for; at least one. */
export function affordedConnections(wanted: number, openFiles: number | undefined): number {
  return openFiles === undefined ? wanted : Math.max(1, Math.min(wanted, openFiles - OWN_FILES));
}

/**
 * What the host does to the server's memory that an operator should hear of:
 *
 * 1. The kernel kills all processes of the cgroup together, or none (then they wait for ever).
 * 2. Memory may be swapped out: it then counts no longer against the line.
 * 3. Mapped weights lie in memory, so the kernel cannot drop them.
 * 4. Nothing says what the machine has available.
 * 5. Fewer files than connections.
 * 6. Figures that differ from what other tools show: memory.high, ZFS, lxcfs, macOS.
 */
export function hostNotes(facts: HostFacts, maxConnections: number): readonly HostNote[] {
  const notes: HostNote[] = [];
  const warn = (text: string) => notes.push({ level: 'warn', text });
  const tell = (text: string) => notes.push({ level: 'info', text });
  const { system, oomGroupPath, oomWaitPath, openFiles } = facts;
  if (oomGroupPath !== undefined) {
    warn(
      `memory.oom.group is 1 in ${oomGroupPath}: when memory runs out there, the kernel kills the server together with its workers. ` +
        'Set it to 0 (systemd: OOMPolicy=continue; kubelet: singleProcessOOMKill: true)',
    ); // 1
  }
  if (oomWaitPath !== undefined) {
    warn(
      `oom_kill_disable is 1 in ${oomWaitPath}: when memory runs out there, every process stands still instead of a worker being killed. Set it to 0`,
    ); // 1
  }
  if (maySwap(facts)) warn(swapText(facts)); // 2
  if (facts.inMemory !== undefined) {
    const { folder, type } = facts.inMemory;
    warn(
      `${folder} lies on ${type}: what is mapped from there stays in memory until it is deleted, and counts against memory.load_line. Put the data folder on a disk (--data)`,
    ); // 3
  }
  if (system.source === 'runtime') {
    warn(
      'the machine’s available memory cannot be read (no /proc/meminfo): only what this server’s own processes hold is held against memory.load_line',
    ); // 4
  }
  const afforded = affordedConnections(maxConnections, openFiles);
  if (afforded < maxConnections) {
    warn(
      `open files are limited to ${openFiles}: ${afforded} connections are taken instead of http.max_connections (${maxConnections}). ` +
        `Allow ${maxConnections + OWN_FILES} (\`ulimit -n\`, LimitNOFILE= in a unit)`,
    ); // 5
  }
  for (const text of differences(facts)) tell(text); // 6
  return notes;
}

/** In a bounded cgroup whenever it is allowed: there swap hides what is over the line. On a machine when it is in use. */
function maySwap({ system, swapBytes }: HostFacts): boolean {
  const { swapTotalBytes, swapFreeBytes } = system.machine;
  if (swapBytes <= 0) return false;
  return (
    system.source === 'cgroup' || swapTotalBytes - swapFreeBytes >= SWAPS_FROM * swapTotalBytes
  );
}

function swapText({ system, swapBytes, zswap }: HostFacts): string {
  const { maxBytes } = zswap;
  const bound = maxBytes === undefined ? '' : `, at most ${mb(maxBytes)} of it`;
  const compressed = zswap.isOn ? ` (zswap keeps it compressed in memory first${bound})` : '';
  const remedy =
    system.source === 'cgroup'
      ? 'Set memory.swap.max to 0 (systemd: MemorySwapMax=0; Docker: --memory-swap as large as --memory)'
      : 'Lower memory.load_line, or run the server in a cgroup with memory.swap.max 0';
  return `up to ${mb(swapBytes)} may be swapped out${compressed}: what is swapped no longer counts against memory.load_line, and answers wait until it is read back. ${remedy}`;
}

function differences({ system, isLxcfs }: HostFacts): readonly string[] {
  const { cgroup, machine, source } = system;
  const texts: string[] = [];
  const { highBytes, limitBytes = Number.POSITIVE_INFINITY } = cgroup ?? {};
  if (highBytes !== undefined && highBytes < Math.min(limitBytes, machine.totalBytes)) {
    texts.push(
      `memory.high (${mb(highBytes)}) is the tightest bound: above it the kernel slows the server down, so memory.load_line is measured by it`,
    );
  }
  if (machine.arcBytes !== undefined) {
    texts.push(`${mb(machine.arcBytes)} of ZFS’s cache count as available: it gives them back`);
  }
  if (isLxcfs)
    texts.push('/proc/meminfo is the container’s (lxcfs): its total counts as the machine’s');
  if (source === 'vm_stat') texts.push('the machine’s memory is read with vm_stat, every 5 s');
  return texts;
}

function mb(bytes: number): string {
  return `${Math.round(bytes / MB)} MB`;
}
