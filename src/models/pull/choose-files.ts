import { BEST_FIRST, type Dtype, dtypeNamed } from '../intake/dtype.js';
import { HubError } from './hub-error.js';

/** What a model folder may have beside its weights, and serving reads. */
const SMALL_FILES: ReadonlySet<string> = new Set([
  'config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.txt',
  'vocab.json',
  'merges.txt',
  'plimsoll.json',
  'probe.jsonl',
  'config_sentence_transformers.json',
]);

/** What decides which weights are fetched. */
export interface WantedWeights {
  /** A type that was asked for; undefined for the best there is. */
  readonly dtype: Dtype | undefined;
  /** Why no graph can be written for the model's safetensors; undefined if one can. */
  readonly compileProblem: string | undefined;
  readonly cpu: Cpu;
}

export interface Cpu {
  /** As `process.arch`. */
  readonly arch: string;
  /** Features, as `/proc/cpuinfo` names them. */
  readonly flags: readonly string[];
}

/** The small files of a model: its config, its tokenizer, and what overrides them. */
export function chooseSmallFiles(paths: readonly string[]): readonly string[] {
  return paths.filter((file) => SMALL_FILES.has(file) || isBesideGraph(file));
}

/** Some exports have config and tokenizer in the graph's folder. */
function isBesideGraph(file: string): boolean {
  const [folder, name, more] = file.split('/');
  return folder === 'onnx' && more === undefined && name !== undefined && SMALL_FILES.has(name);
}

/**
 * The weights of a model that serving needs. Never pickles (`*.bin`, `*.pt`): reading one runs its code.
 *
 * 1. A graph of the type that was asked for, by its name.
 * 2. A graph of full precision: faster forms are made from it, and held against it.
 * 3. Safetensors of a family that is compiled: they are full precision as well.
 * 4. A graph of another type, the most exact first.
 * 5. Safetensors that cannot be compiled are not fetched.
 *
 * @throws HubError `unservable` if there are none, with what there is
 */
export function chooseWeights(paths: readonly string[], wanted: WantedWeights): readonly string[] {
  const graphs = paths.filter((file) => file.endsWith('.onnx'));
  const best = (dtype: Dtype) => bestGraph(graphs, dtype, wanted.cpu);
  const asked = wanted.dtype === undefined ? undefined : best(wanted.dtype);
  if (asked !== undefined) return withData(asked, paths); // 1
  const full = best('fp32');
  if (full !== undefined) return withData(full, paths); // 2
  const safetensors = chooseSafetensors(paths);
  if (safetensors !== undefined && wanted.compileProblem === undefined) return safetensors; // 3
  for (const dtype of BEST_FIRST) {
    const graph = best(dtype);
    if (graph !== undefined) return withData(graph, paths); // 4
  }
  const problem = safetensors === undefined ? undefined : wanted.compileProblem;
  throw new HubError('unservable', whyNoWeights(paths, problem)); // 5
}

/** Names of full precision, the best first: `model.onnx`, which is optimised here, for this CPU; then what an exporter optimised. */
const FULL_ORDER: readonly RegExp[] = [/(^|\/)model\.onnx$/, /(^|\/)model[^/]*\.onnx$/, /\.onnx$/];

/** The graph of a type as exporters name it. Names that say nothing are of full precision. */
function bestGraph(graphs: readonly string[], dtype: Dtype, cpu: Cpu): string | undefined {
  const rank = (file: string): number => {
    if (dtype === 'q8') return cpuRank(file, cpu);
    return FULL_ORDER.findIndex((pattern) => pattern.test(file));
  };
  return graphs
    .filter((file) => dtypeNamed(file) === dtype)
    .sort((a, b) => rank(a) - rank(b) || byDepth(a, b))[0];
}

/**
 * How well a q8 graph suits a CPU, 0 the best. Exporters write the instructions that it was quantised for into the name
 * (`optimum-cli onnxruntime quantize --avx512_vnni`): on others products may saturate, or the kernel is slower.
 *
 * 1. The best instructions that this CPU has.
 * 2. No instructions named.
 * 3. Instructions of another CPU.
 */
function cpuRank(file: string, { arch, flags }: Cpu): number {
  const named = /avx512_vnni|avx512|avx2|arm64/.exec(file.toLowerCase())?.[0];
  const own = arch === 'arm64' ? ['arm64'] : ['avx512_vnni', 'avx512', 'avx2'];
  if (named === undefined) return own.length; // 2
  const isThere: Readonly<Record<string, boolean>> = {
    arm64: arch === 'arm64',
    avx512_vnni: flags.includes('avx512_vnni'),
    avx512: flags.includes('avx512f') || flags.includes('avx512bw'),
    avx2: flags.includes('avx2'),
  };
  return isThere[named] === true ? own.indexOf(named) : own.length + 1; // 1, 3
}

function withData(graph: string, paths: readonly string[]): readonly string[] {
  return [graph, ...paths.filter((file) => isDataOf(graph, file))];
}

/** `model.onnx_data`, `model.onnx_data_1`, `model.onnx.data`: the names that exporters give external weights. */
function isDataOf(graph: string, file: string): boolean {
  return (
    file !== graph && file.startsWith(graph) && /^[._]data(_\d+)?$/.test(file.slice(graph.length))
  );
}

function chooseSafetensors(paths: readonly string[]): readonly string[] | undefined {
  if (paths.includes('model.safetensors')) return ['model.safetensors'];
  const shards = paths.filter((file) => /^model-\d+-of-\d+\.safetensors$/.test(file));
  const index = 'model.safetensors.index.json';
  return shards.length > 0 && paths.includes(index) ? [index, ...shards] : undefined;
}

function byDepth(a: string, b: string): number {
  return a.split('/').length - b.split('/').length || (a < b ? -1 : 1);
}

function whyNoWeights(paths: readonly string[], compileProblem: string | undefined): string {
  const exporting = 'export it with "optimum-cli export onnx" and serve the folder';
  if (compileProblem !== undefined) {
    return `it has safetensors and no ONNX graph, and ${compileProblem}; ${exporting}`;
  }
  const others = paths.filter((file) =>
    /\.(bin|pt|pth|ckpt|h5|msgpack|gguf|ot|tflite)$/.test(file),
  );
  const has = others.length > 0 ? `it has ${others.slice(0, 4).join(', ')}` : 'it has no weights';
  const pickle = others.some((file) => /\.(bin|pt|pth|ckpt)$/.test(file));
  const remedy = pickle
    ? 'pickle files run code when they are read, so they are never fetched: convert it with "optimum-cli export onnx" and serve the folder'
    : exporting;
  return `neither an ONNX graph nor safetensors to serve: ${has}; ${remedy}`;
}
