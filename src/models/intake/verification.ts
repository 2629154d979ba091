/** What a model's faster forms are held against, and which ones its folder has. */
import path from 'node:path';

/** When a faster form counts as equal to fp32: the settings `verify.labels`, `verify.shift` and `verify.speedup`. */
export interface Bounds {
  /** Least share of rows with the same label, in percent. */
  readonly labels: number;
  /** Most by which a score may differ. Scores of 0 to 1; others as a part of the largest of them. */
  readonly shift: number;
  /** How many times as fast as fp32 it has to be, one row and a batch together, to be worth its rounding. */
  readonly speedup: number;
}

/** Probes of a model's owner, one JSON text, `{"text": "…"}` or `{"text": "…", "text_pair": "…"}` a line, in the model's folder. */
export const PROBE_FILE = 'probe.jsonl';

/** A q8 graph of the model's folder. */
export interface ShippedGraph {
  /** The graph, below the folder, and then its external data. */
  readonly weights: readonly string[];
}

/** A model whose faster forms are tried: it has fp32 weights, and nobody asked for a type. */
export interface Verification {
  readonly bounds: Bounds;
  readonly shipped: readonly ShippedGraph[];
  /** Whether the folder has a {@link PROBE_FILE}. */
  readonly hasProbes: boolean;
}

/** The files of it that count beside those of the fp32 form. */
export function verifiedFiles({ shipped, hasProbes }: Verification): readonly string[] {
  return [...(hasProbes ? [PROBE_FILE] : []), ...shipped.flatMap(({ weights }) => weights)].map(
    (file) => path.normalize(file),
  );
}
