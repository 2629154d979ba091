/**
 * Whether a Redis keeps what it is given, by the `memory` section of its INFO.
 *
 * 1. `noeviction`: it does.
 * 2. No limit of memory: it does until somebody sets one.
 * 3. Any other policy would throw shards away without a word: it is refused.
 * 4. A service that hides its policy is used, with a warning.
 */
export function refusalOfPolicy(info: string): {
  readonly refusal?: string;
  readonly warning?: string;
} {
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
  const limit = /^maxmemory:(\d+)/m.exec(info)?.[1];
  if (policy === 'noeviction' || (policy !== undefined && limit === '0')) return {}; // 1, 2
  const remedy =
    'set it with CONFIG SET maxmemory-policy noeviction, or name another Redis than the cache’s in jobs.url';
  if (policy !== undefined) {
    return {
      refusal: `the Redis of jobs.url has maxmemory-policy ${policy}, so it would throw jobs away when it is full: ${remedy}`, // 3
    };
  }
  return {
    warning: `the Redis of jobs.url does not tell its maxmemory-policy; it must be noeviction, or jobs are lost when it is full: ${remedy}`, // 4
  };
}
