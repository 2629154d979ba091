import { choice, integer, memoryAmount, text } from '../setting.js';

/** The settings of the memory manager. */
export const MEMORY_SETTINGS = {
  'memory.load_line': memoryAmount({
    default: '80%',
    minBytes: 64 * 1024 * 1024,
    about:
      'Memory budget: bytes, or percent of the smallest of the machine’s memory, the cgroup’s limit and its `memory.high`.',
  }),
  'memory.load_of': choice({
    default: 'machine',
    words: ['machine', 'server'],
    about:
      'What counts as load against the line. `machine`: all that is in use on the machine, or in the cgroup. `server`: what this server’s processes hold, with their share of what they share (PSS); for several servers on one machine that divide the line, as `memory.load_line=25%` each.',
  }),
  'memory.system_root': text({
    default: '/',
    about:
      'Folder that stands for `/` where the memory of machine and cgroup is read (`proc/meminfo`, `sys/fs/cgroup`).',
  }),
  'memory.reading_interval_ms': integer({
    default: 1000,
    min: 50,
    max: 60_000,
    unit: 'ms',
    about: 'Time between two readings of memory.',
  }),
  'memory.residency_interval_ms': integer({
    default: 250,
    min: 20,
    max: 60_000,
    unit: 'ms',
    about: 'Time between two looks for idle models to unload.',
  }),
  'recycle.after_users': integer({
    default: 50,
    min: 1,
    max: 1_000_000_000,
    unit: 'users',
    about: 'Users after which caches are cleared, models unloaded and workers replaced.',
  }),
  'recycle.after_growth': memoryAmount({
    default: '32M',
    minBytes: 1024 * 1024,
    about:
      'A worker that holds this much more at rest than its own baseline is replaced; a percentage is of the baseline.',
  }),
  'recycle.after_age': integer({
    default: 86_400,
    min: 1,
    max: 365 * 86_400,
    unit: 's',
    about: 'Age at which a worker is replaced.',
  }),
  'cleanup.settle_ms': integer({
    default: 60,
    min: 0,
    max: 10_000,
    unit: 'ms',
    about: 'Longest wait, after a cleanup, for the readings to stop falling.',
  }),
} as const;
