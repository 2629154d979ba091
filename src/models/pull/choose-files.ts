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

/** Names of graphs, the best first: full precision is what forms are made from and held against. */
const GRAPH_ORDER: readonly RegExp[] = [
  /(^|\/)model\.onnx$/,
  /(^|\/)model_fp16\.onnx$/,
  /(^|\/)model_quantized\.onnx$/,
  /(^|\/)model_int8\.onnx$/,
  /(^|\/)model[^/]*\.onnx$/,
  /\.onnx$/,
];

const PREFERRED: Readonly<Record<string, RegExp>> = {
  fp16: /(^|\/)model_fp16\.onnx$/,
  q8: /(^|\/)model_(quantized|int8|q8)\.onnx$/,
};

/**
 * The files of a model that serving needs. Never pickles (`*.bin`, `*.pt`): reading one runs its code.
 *
 * 1. The small files: config, tokenizer, what overrides them.
 * 2. One set of weights: an ONNX graph with its external data, the wanted type first, else full precision, else any.
 * 3. Else the safetensors file, or the shards that its index names.
 *
 * @param wanted `fp16` or `q8` prefer the graph of that name; anything else prefers full precision
 * @throws HubError `unservable` if there are no such weights, with what there is
 */
export function chooseFiles(paths: readonly string[], wanted: string): readonly string[] {
  const small = paths.filter((file) => SMALL_FILES.has(file) || isBesideGraph(file));
  const weights = chooseGraph(paths, wanted) ?? chooseSafetensors(paths);
  if (weights === undefined) throw new HubError('unservable', whyNoWeights(paths));
  return [...new Set([...small, ...weights])];
}

/** Some exports have config and tokenizer in the graph's folder. */
function isBesideGraph(file: string): boolean {
  const [folder, name, more] = file.split('/');
  return folder === 'onnx' && more === undefined && name !== undefined && SMALL_FILES.has(name);
}

function chooseGraph(paths: readonly string[], wanted: string): readonly string[] | undefined {
  const graphs = paths.filter((file) => file.endsWith('.onnx'));
  const order = [PREFERRED[wanted], ...GRAPH_ORDER].filter((pattern) => pattern !== undefined);
  for (const pattern of order) {
    const [graph] = graphs.filter((file) => pattern.test(file)).sort(byDepth);
    if (graph !== undefined) return [graph, ...paths.filter((file) => isDataOf(graph, file))];
  }
  return undefined;
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

function whyNoWeights(paths: readonly string[]): string {
  const others = paths.filter((file) =>
    /\.(bin|pt|pth|ckpt|h5|msgpack|gguf|ot|tflite)$/.test(file),
  );
  const has = others.length > 0 ? `it has ${others.slice(0, 4).join(', ')}` : 'it has no weights';
  const pickle = others.some((file) => /\.(bin|pt|pth|ckpt)$/.test(file));
  const remedy = pickle
    ? 'pickle files run code when they are read, so they are never fetched: convert it with "optimum-cli export onnx" and serve the folder'
    : 'export it with "optimum-cli export onnx" and serve the folder';
  return `neither an ONNX graph nor safetensors to serve: ${has}; ${remedy}`;
}
