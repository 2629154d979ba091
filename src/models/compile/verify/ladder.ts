/** Which faster forms of a model are tried, and in which order. Pure. */
import type { ShippedGraph } from '../../intake/verification.js';
import type { ProductFacts, WeightIntegers } from '../quantise/per-token-graph.js';

export type Candidate =
  | { readonly kind: 'shipped'; readonly form: string; readonly weights: readonly string[] }
  | {
      readonly kind: 'own';
      readonly form: string;
      readonly integers: WeightIntegers;
      readonly embeddings: boolean;
      /** Share of the groups of products that stay in fp32: those that shift scores the most. */
      readonly keptShare: number;
    };

export interface LadderFacts {
  readonly shipped: readonly ShippedGraph[];
  readonly products: readonly ProductFacts[];
  /** Bytes of all fp32 weights. */
  readonly weightBytes: number;
  readonly integers: readonly WeightIntegers[];
}

const FLOAT_BYTES = 4;
/** More shipped graphs than this are not tried. */
const MOST_SHIPPED = 2;
/** Share of the weights from which tables of embeddings are worth being integers. */
const TABLES_WORTH = 0.5;
/** Shares of the products that stay in fp32 where all of them as integers disagree. */
const KEPT_SHARES = [1 / 6, 1 / 3];

/**
 * The candidates, in the order in which they are tried.
 *
 * 1. A q8 graph that the folder ships.
 * 2. Our own int8, with int8 embeddings where tables are half of the weights or more (large vocabularies).
 * 3. Our own int8, embeddings in fp32.
 * 4. Our own int8 without the groups of products that shift scores the most.
 * 5. None left: fp32.
 *
 * 2 to 4 once for each kind of integers that suits the CPU, the fastest kind first.
 */
export function ladderOf(facts: LadderFacts): readonly Candidate[] {
  const { shipped, products, integers } = facts;
  const candidates: Candidate[] = shipped
    .slice(0, MOST_SHIPPED)
    .map(({ weights }) => ({ kind: 'shipped', form: `q8 ${weights[0] ?? ''}`, weights })); // 1
  if (products.length === 0) return candidates;
  const hasTables = tableShare(facts) >= TABLES_WORTH;
  for (const kind of integers) {
    const own = { kind: 'own', integers: kind, embeddings: false, keptShare: 0 } as const;
    if (hasTables) {
      candidates.push({ ...own, form: `${kind} with embeddings`, embeddings: true }); // 2
    }
    candidates.push({ ...own, form: kind }); // 3
    for (const keptShare of KEPT_SHARES) {
      const form = `${kind} without ${Math.round(100 * keptShare)} % of the layers`;
      candidates.push({ ...own, form, keptShare }); // 4
    }
  }
  return candidates;
}

/** Part of the weights that are no products: tables of embeddings, but for a few norms. */
function tableShare({ products, weightBytes }: LadderFacts): number {
  const bytes = products.reduce((sum, { from, to }) => sum + from * to * FLOAT_BYTES, 0);
  return weightBytes > 0 ? Math.max(0, 1 - bytes / weightBytes) : 0;
}

/**
 * The kinds of integers for a CPU, the fastest first.
 *
 * 1. x86 with VNNI, or ARM: int8 is exact.
 * 2. Other x86: `pmaddubsw` adds two products in 16 bits and saturates, so 7 bits; then the slower exact kernel.
 */
export function integersFor(arch: string, flags: readonly string[]): readonly WeightIntegers[] {
  const isExact = arch !== 'x64' || flags.some((flag) => /^avx(?:512)?_vnni$/.test(flag));
  return isExact ? ['int8'] : ['int7', 'uint8'];
}

/** What has become of the candidates so far. */
export interface Tried {
  readonly candidate: Candidate;
  readonly outcome: 'verified' | 'slower' | 'disagrees' | 'broken';
}

/**
 * Whether a candidate is worth a trial after those before it.
 *
 * 1. Shipped graphs always.
 * 2. One of our own was verified: no further one of ours. One was no faster: the others do no less.
 * 3. Without some layers: only if the whole of the same kind disagreed.
 */
export function isWorthTrying(candidate: Candidate, tried: readonly Tried[]): boolean {
  if (candidate.kind === 'shipped') return true; // 1
  const own = tried.flatMap(({ candidate: of, outcome }) =>
    of.kind === 'own' ? [{ ...of, outcome }] : [],
  );
  if (own.some(({ outcome }) => outcome === 'verified' || outcome === 'slower')) return false; // 2
  if (candidate.keptShare === 0) return true;
  const same = own.filter(({ integers }) => integers === candidate.integers);
  return same.at(-1)?.outcome === 'disagrees'; // 3
}

/** The groups of products that stay in fp32: the given share of them, those with the largest shifts. */
export function keptGroups(shifts: readonly number[], share: number): ReadonlySet<number> {
  const count = Math.max(1, Math.round(shifts.length * share));
  const worst = shifts.map((shift, group) => ({ shift, group })).sort((a, b) => b.shift - a.shift);
  return new Set(worst.slice(0, count).map(({ group }) => group));
}
