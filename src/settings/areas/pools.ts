import { integer, type Setting } from '../setting.js';

type Bound = 'min' | 'max' | 'wait_ms' | 'idle_ms' | 'lifetime' | 'check_after_idle_ms';

/** The settings of one pool: `<name>.pool.min`, `<name>.pool.max`, … */
export type PoolSettings<N extends string> = {
  readonly [K in `${N}.pool.${Bound}`]: Setting<number>;
};

/** The settings of the pool to one server. @param server its name for people */
export function poolSettings<const N extends string>(name: N, server: string): PoolSettings<N> {
  const settings: Record<`x.pool.${Bound}`, Setting<number>> = {
    'x.pool.min': integer({
      default: 1,
      min: 0,
      max: 1000,
      about: `Connections to ${server} that stay open when idle; cleanup shrinks the pool to this.`,
    }),
    'x.pool.max': integer({
      default: 10,
      min: 1,
      max: 1000,
      about: `Connections to ${server} at most.`,
    }),
    'x.pool.wait_ms': integer({
      default: 5000,
      min: 10,
      max: 600_000,
      unit: 'ms',
      about: `Longest wait for a connection to ${server}.`,
    }),
    'x.pool.idle_ms': integer({
      default: 30_000,
      min: 50,
      max: 86_400_000,
      unit: 'ms',
      about: `An idle connection to ${server} above the minimum closes after this.`,
    }),
    'x.pool.lifetime': integer({
      default: 1800,
      min: 1,
      max: 30 * 86_400,
      unit: 's',
      about: `Age at which a connection to ${server} is replaced, once nobody uses it.`,
    }),
    'x.pool.check_after_idle_ms': integer({
      default: 5000,
      min: 0,
      max: 86_400_000,
      unit: 'ms',
      about: `A connection to ${server} that was idle for this long is checked before use.`,
    }),
  };
  const named = Object.entries(settings).map(([key, of]) => [`${name}${key.slice(1)}`, of]);
  return Object.fromEntries(named) as PoolSettings<N>;
}
