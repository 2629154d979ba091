/** Runs ONNX graphs on token ids, as they are and in the mapped form. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { onTestFinished } from 'vitest';
import type { RawGraph } from '../../../../src/models/compile/compile-safetensors.js';
import { writeMappedGraph } from '../../../../src/models/run/onnx-session.js';

/** One sequence as the tokenizer gives it. */
export interface Row {
  readonly ids: readonly number[];
  readonly types?: readonly number[];
}

/** Logits of each row: of the sequence, or of each of its tokens in turn. */
export type Logits = readonly (readonly number[])[];

const QUIET = { logSeverityLevel: 3, intraOpNumThreads: 1 } as const;

/** The graph unoptimised, straight from the weights. */
export async function openRaw(raw: RawGraph): Promise<InferenceSession> {
  const session = await InferenceSession.create(await readFile(raw.graphFile), {
    ...QUIET,
    graphOptimizationLevel: 'disabled',
    extra: { session: { model_external_initializers_file_folder_path: raw.dataFolder } },
  });
  onTestFinished(() => session.release());
  return session;
}

/** The graph as workers open it: optimised, its weights in a file of their own. */
export async function openMapped(raw: RawGraph, folder: string): Promise<InferenceSession> {
  const file = path.join(folder, 'model.onnx');
  await writeMappedGraph(raw.graphFile, file, 'weights.bin', raw.dataFolder);
  return openWritten(file);
}

export async function openWritten(file: string): Promise<InferenceSession> {
  const extra = { session: { disable_prepacking: '1' } };
  const options = { ...QUIET, graphOptimizationLevel: 'disabled', extra } as const;
  const session = await InferenceSession.create(file, options);
  onTestFinished(() => session.release());
  return session;
}

/** Runs rows as one batch, padded at the end; the logits of padding are left out. */
export async function run(
  session: InferenceSession,
  rows: readonly Row[],
  padTokenId: number,
): Promise<Logits> {
  const length = Math.max(...rows.map(({ ids }) => ids.length));
  const value = (name: string, row: Row, at: number): number => {
    const isToken = at < row.ids.length;
    if (name === 'attention_mask') return isToken ? 1 : 0;
    if (name === 'token_type_ids') return row.types?.[at] ?? 0;
    return row.ids[at] ?? padTokenId;
  };
  const feeds = session.inputNames.map((name) => {
    const values = rows.flatMap((row) =>
      Array.from({ length }, (_, at) => BigInt(value(name, row, at))),
    );
    return [name, new Tensor('int64', BigInt64Array.from(values), [rows.length, length])] as const;
  });
  const { logits } = await session.run(Object.fromEntries(feeds));
  if (!(logits?.data instanceof Float32Array)) throw new Error('no logits');
  const values = [...logits.data];
  const width = values.length / rows.length;
  const perToken = logits.dims.length === 3 ? width / length : undefined;
  return rows.map(({ ids }, row) => {
    const count = perToken === undefined ? width : perToken * ids.length;
    return values.slice(row * width, row * width + count);
  });
}

/** Each row alone, one after another. */
export async function runAlone(
  session: InferenceSession,
  rows: readonly Row[],
  padTokenId: number,
): Promise<Logits> {
  const logits: (readonly number[])[] = [];
  for (const row of rows) logits.push(...(await run(session, [row], padTokenId)));
  return logits;
}

/** The largest difference of a logit; NaN if there are not as many. */
export function distance(left: Logits, right: Logits): number {
  const [a, b] = [left.flat(), right.flat()];
  if (a.length !== b.length || a.length === 0) return Number.NaN;
  return Math.max(...a.map((value, at) => Math.abs(value - (b[at] ?? Number.NaN))));
}
