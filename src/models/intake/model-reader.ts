import path from 'node:path';
import { messageOf, PlimsollError } from '../../errors.js';
import {
  type LeftOut,
  noConfigReason,
  noGraphReason,
  noTokenizerReason,
  noUsableGraphReason,
} from './broken.js';
import {
  type Decision,
  type Declaration,
  type DescriptionFiles,
  describe,
  type ModelDescription,
  readDeclaration,
  readOverridesFile,
} from './description.js';
import { type Dtype, graphFileOf } from './dtype.js';
import { type FolderContents, nearestFile } from './folder/contents.js';
import { factsOf, NoFileError } from './folder/files.js';
import { type JsonObject, readJson } from './folder/json.js';
import { isLfsPointer, lfsReason } from './folder/lfs.js';
import { type GraphFile, graphFile, rankGraphs, whyChosen } from './graph/choose.js';
import { type GraphFacts, readGraphFacts } from './graph/graph-facts.js';
import { OVERRIDES_FILE } from './reading/overrides.js';
import { tokenizerProblem } from './reading/tokenizer-class.js';
import { wideningOf } from './safetensors-types.js';
import { type TokenizerFiles, tokenizerFilesIn, vocabularyIn } from './tokenizer-files.js';
import { type Bounds, PROBE_FILE, type Verification, verifiedFiles } from './verification.js';
import { checkpointOf, externalFiles, lackOf, leftOutDecision, unreadable } from './weights.js';

/** A model as it lies on disk. */
export interface Model {
  /** Its path below the repository, with `/` between the parts. */
  readonly id: string;
  readonly directory: string;
  /** As far as it is known before the graph has been opened; a prepared model has a better one. */
  readonly description: ModelDescription;
  readonly declaration: Declaration;
  /** Other names under which it is served. */
  readonly aliases: readonly string[];
  /** Type of its weights, among those that its folder has. */
  readonly dtype: Dtype;
  /** Its graph, below the folder. */
  readonly graphFile: string;
  /** Every graph of the folder that could be served, the best first. */
  readonly graphs: readonly GraphFile[];
  readonly tokenizer: TokenizerFiles;
  /** The files that decide what it answers, below the folder, small ones first. */
  readonly files: readonly string[];
  /** Of these the graph and its external data, the graph first. */
  readonly weights: readonly string[];
  /** Sizes and times of its files: another signature means that the model may have changed. */
  readonly signature: string;
  /** Bytes of its weights: the graph and its external data. */
  readonly sourceBytes: number;
  /** The same of a checkpoint once they are float32, where that is another number. */
  readonly float32Bytes?: number;
  /** Set where faster forms of it are tried against its fp32 form. */
  readonly verification?: Verification;
}

/** What compiles models that have safetensors and no graph. */
export interface SafetensorsCompiler {
  /** Why a model with that configuration cannot be compiled; undefined if it can. */
  refuse(config: JsonObject): Promise<string | undefined>;
}

interface KnownFacts {
  readonly signature: string;
  readonly facts: GraphFacts | undefined;
  readonly problem?: string;
}

/** Weights that can be served, and those that cannot. */
interface Weights {
  readonly graphs: readonly GraphFile[];
  readonly leftOut: readonly LeftOut[];
}

/** Reads what a folder holds into a model, or says why it cannot be served. */
export class ModelReader {
  readonly #wanted: readonly Dtype[];
  readonly #safetensors: SafetensorsCompiler | undefined;
  readonly #bounds: Bounds | undefined;
  /** By path: a graph is read again only when it has changed. */
  readonly #facts = new Map<string, KnownFacts>();

  /** @param bounds what faster forms are held against; without them none is tried */
  constructor(wanted: readonly Dtype[], safetensors?: SafetensorsCompiler, bounds?: Bounds) {
    this.#wanted = wanted;
    this.#safetensors = safetensors;
    this.#bounds = bounds;
  }

  /**
   * 1. What the owner of the folder says (`plimsoll.json`).
   * 2. The graph: the best of those that are there, and of one that is written for the safetensors.
   * 3. The configuration beside it, else in the folder itself.
   * 4. The tokenizer.
   * 5. The state of all files that count.
   *
   * @throws PlimsollError MODEL_UNUSABLE
   */
  async read(candidate: {
    readonly id: string;
    readonly contents: FolderContents;
  }): Promise<Model> {
    const { id, contents } = candidate;
    const { directory } = contents;
    const own = nearestFile(contents, OVERRIDES_FILE, OVERRIDES_FILE);
    const overrides = await readOverridesFile(inFolder(directory, own)); // 1
    const wanted = overrides.dtype === undefined ? this.#wanted : [overrides.dtype];
    const { graphs: all, leftOut } = await this.#weightsOf(contents, wanted);
    const graphs = rankGraphs(all, wanted); // 2
    const [best] = graphs;
    if (best === undefined) throw notOfDtype(all, wanted);
    const config = nearestFile(contents, 'config.json', best.file); // 3
    if (config === undefined) throw unusable(noConfigReason(contents));
    const files = descriptionFiles(contents, config, best.file);
    const declaration = await readDeclaration(
      absolute(directory, files),
      overrides,
      best.facts?.outputs,
    );
    const tokenizer = tokenizerFilesIn(contents, best.file); // 4
    if (tokenizer === undefined) throw unusable(noTokenizerReason(contents));
    const { config: ownConfig, tokenizer: itsConfig } = declaration;
    const problem = tokenizerProblem(itsConfig, ownConfig, vocabularyIn(tokenizer));
    if (problem !== undefined) throw unusable(problem);
    const small = [
      config,
      files.tokenizerConfig,
      files.sentenceTransformers,
      own,
      ...tokenizer.all,
    ];
    const verification =
      overrides.dtype === undefined ? verificationOf(contents, graphs, this.#bounds) : undefined;
    const state = await stateOf(
      contents,
      best,
      [...new Set(small.filter((at) => at !== undefined))],
      verification,
    );
    const chosen: Decision = {
      ...{ about: 'graph', value: `${best.file} (${best.dtype})` },
      from: [
        whyThisOne(graphs, wanted, overrides.dtype !== undefined),
        ...(isUnverified(best, wanted, this.#bounds) ? [NOT_VERIFIED] : []),
      ].join('; '),
    };
    const described = describe(declaration);
    const widening = best.file.endsWith('.onnx') ? 1 : await wideningOf(contents, state.weights);
    return {
      ...{ id, directory, declaration, graphs, tokenizer, aliases: overrides.alias ?? [] },
      description: {
        ...described,
        decisions: [chosen, ...leftOut.map(leftOutDecision), ...described.decisions],
      },
      ...{ dtype: best.dtype, graphFile: best.file, ...state }, // 5
      ...(verification === undefined ? {} : { verification }),
      ...(widening === 1 ? {} : { float32Bytes: widening * state.sourceBytes }),
    };
  }

  /**
   * 1. The graphs that there are.
   * 2. Where none of them has full precision and it is wanted, the safetensors as well: faster forms are made from them, and
   *    a graph that the folder ships is held against them.
   * 3. Without any graph the safetensors alone, or why they cannot be compiled.
   *
   * @throws PlimsollError MODEL_UNUSABLE
   */
  async #weightsOf(contents: FolderContents, wanted: readonly Dtype[]): Promise<Weights> {
    const { graphs, leftOut } = await this.#graphsOf(contents); // 1
    const hasFull = graphs.some(({ dtype, facts }) => dtype === 'fp32' && facts !== undefined);
    if (graphs.length > 0 && (hasFull || !wanted.includes('fp32') || !standsAlone(contents))) {
      return { graphs, leftOut };
    }
    try {
      return { graphs: [...graphs, await this.#compiled(contents)], leftOut }; // 2, 3
    } catch (error) {
      if (graphs.length > 0) return { graphs, leftOut };
      return alsoOf(leftOut)(error);
    }
  }

  /** Graphs that can be read and have all their weights, and the others with the reason. */
  async #graphsOf(contents: FolderContents): Promise<Weights> {
    const graphs: GraphFile[] = [];
    const leftOut: LeftOut[] = [];
    for (const file of contents.graphs) {
      const place = path.join(contents.directory, file);
      try {
        const { size, mtimeMs, ino } = await factsOf(place);
        if (await isLfsPointer(place, size)) leftOut.push({ file, reason: lfsReason(file) });
        else {
          const { facts, problem } = await this.#factsOf(place, `${size}:${mtimeMs}:${ino}`);
          const graph = graphFile(file, size, facts, problem);
          const reason = facts === undefined ? unreadable(graph) : undefined;
          const lack = reason ?? (await lackOf(contents, graph));
          if (lack === undefined) graphs.push(graph);
          else leftOut.push(typeof lack === 'string' ? { file, reason: lack } : lack);
        }
      } catch (error) {
        const reason = `${file} cannot be used: ${messageOf(error)}`;
        leftOut.push({ file, reason: error instanceof PlimsollError ? error.message : reason });
      }
    }
    if (graphs.length > 0 || leftOut.length === 0 || checkpointOf(contents) !== undefined) {
      return { graphs, leftOut };
    }
    throw unusable(noUsableGraphReason(contents, leftOut));
  }

  async #factsOf(place: string, signature: string): Promise<KnownFacts> {
    const known = this.#facts.get(place);
    if (known?.signature === signature) return known;
    const read = await readGraphFacts(place).then(
      (facts): KnownFacts => ({ signature, facts }),
      (error: unknown): KnownFacts => ({
        ...{ signature, facts: undefined, problem: messageOf(error) },
      }),
    );
    this.#facts.set(place, read);
    return read;
  }

  /** The weights of a folder's safetensors, if a graph can be written for them. @throws PlimsollError MODEL_UNUSABLE */
  async #compiled(contents: FolderContents): Promise<GraphFile> {
    const { directory, configs, safetensors } = contents;
    const whole = checkpointOf(contents);
    // Only what would be used counts: all that there is, where nothing can be.
    for (const file of whole === undefined ? [...safetensors, ...contents.otherWeights] : [whole]) {
      if (await isLfsPointer(path.join(directory, file))) throw unusable(lfsReason(file));
    }
    const [config] = configs;
    const read = config === undefined ? undefined : path.join(directory, config);
    // It says first what no export would mend: another task, or an encoder alone.
    const declared = read === undefined ? undefined : await readDeclaration({ config: read });
    const checkpoint = whole;
    const problem =
      safetensors.length === 0
        ? undefined
        : await this.#safetensors?.refuse(read === undefined ? {} : await readJson(read));
    const isMissing = checkpoint === undefined || this.#safetensors === undefined;
    if (isMissing || read === undefined || problem !== undefined) {
      throw unusable(noGraphReason(contents, problem, declared?.task ?? 'text-classification'));
    }
    const { size } = await factsOf(path.join(directory, checkpoint));
    return graphFile(checkpoint, size, undefined);
  }
}

function whyThisOne(
  graphs: readonly GraphFile[],
  wanted: readonly Dtype[],
  isOverridden: boolean,
): string {
  if (isOverridden) return `${OVERRIDES_FILE}: dtype`;
  const isGraph = graphs[0]?.file.endsWith('.onnx') === true;
  if (isGraph) return whyChosen(graphs, wanted);
  const what = graphs.length > 1 ? 'no graph of full precision' : 'no graph';
  return `there is ${what}: one is written for its safetensors`;
}

const NOT_VERIFIED =
  'not verified: there are no weights of full precision beside it to compare with';

/** Whether a faster form serves though nobody asked for its type, as there is nothing to hold it against. */
function isUnverified(
  { dtype }: GraphFile,
  wanted: readonly Dtype[],
  bounds: Bounds | undefined,
): boolean {
  return bounds !== undefined && wanted.length > 1 && !['fp32', 'fp64'].includes(dtype);
}

/** Whether a folder's safetensors have a configuration and a tokenizer: some folders have them beside the graph only. */
function standsAlone(contents: FolderContents): boolean {
  const checkpoint = checkpointOf(contents);
  if (checkpoint === undefined || !contents.files.includes('config.json')) return false;
  return tokenizerFilesIn(contents, checkpoint) !== undefined;
}

/** Adds to an error why the graphs are of no use, as that may be easier to mend. */
function alsoOf(leftOut: readonly LeftOut[]): (error: unknown) => never {
  return (error) => {
    if (leftOut.length === 0) throw error;
    const reasons = leftOut.map(({ reason }) => reason).join('; ');
    throw unusable(`${reasons.slice(0, 600)}; ${messageOf(error)}`);
  };
}

function unusable(reason: string): PlimsollError {
  return new PlimsollError('MODEL_UNUSABLE', reason);
}

function inFolder(directory: string, file: string | undefined): string | undefined {
  return file && path.join(directory, file);
}

function notOfDtype(all: readonly GraphFile[], wanted: readonly Dtype[]): PlimsollError {
  const usual = wanted.map(graphFileOf).join(', ');
  const has = all.map(({ file, dtype }) => `${file} (${dtype})`).join(', ');
  const message = `it has no ${usual}, nor another graph of dtype ${wanted.join(', ')}; it has ${has}`;
  return unusable(message);
}

function descriptionFiles(contents: FolderContents, config: string, beside: string) {
  return {
    config,
    tokenizerConfig: nearestFile(contents, 'tokenizer_config.json', beside),
    sentenceTransformers: nearestFile(contents, 'config_sentence_transformers.json', beside),
  };
}

function absolute(directory: string, files: DescriptionFiles): DescriptionFiles {
  return {
    config: path.join(directory, files.config),
    tokenizerConfig: inFolder(directory, files.tokenizerConfig),
    sentenceTransformers: inFolder(directory, files.sentenceTransformers),
  };
}

/** Undefined where there is no fp32 form to compare with, or nobody wants to know. */
function verificationOf(
  contents: FolderContents,
  [best, ...others]: readonly GraphFile[],
  bounds: Bounds | undefined,
): Verification | undefined {
  if (bounds === undefined || best?.dtype !== 'fp32') return undefined;
  const shipped = others
    .filter(({ dtype, facts }) => dtype === 'q8' && facts !== undefined)
    .map((graph) => ({ weights: [graph.file, ...externalFiles(contents, graph)] }))
    .filter(({ weights }) => weights.every((file) => contents.files.includes(file)));
  return { bounds, shipped, hasProbes: contents.files.includes(PROBE_FILE) };
}

async function stateOf(
  contents: FolderContents,
  graph: GraphFile,
  small: readonly string[],
  verification: Verification | undefined,
): Promise<Pick<Model, 'files' | 'weights' | 'signature' | 'sourceBytes'>> {
  const weights = [graph.file, ...externalFiles(contents, graph)];
  const files = [...small, ...weights];
  let sourceBytes = 0;
  const lines: string[] = [];
  for (const file of files) {
    const place = path.join(contents.directory, file);
    try {
      const facts = await factsOf(place);
      if (weights.includes(file)) sourceBytes += facts.size;
      if (await isLfsPointer(place, facts.size)) throw unusable(lfsReason(file));
      lines.push(`${file}:${facts.size}:${Math.floor(facts.mtimeMs)}:${facts.ino}`);
    } catch (error) {
      if (!(error instanceof NoFileError)) throw error;
      throw unusable(`${file} cannot be used: ${error.message}`);
    }
  }
  if (verification !== undefined) {
    const { labels, shift, speedup } = verification.bounds;
    lines.push(`verified:${labels}:${shift}:${speedup}`);
    for (const file of verifiedFiles(verification)) {
      lines.push(await stateLine(contents.directory, file));
    }
  }
  const tried = verification === undefined ? [] : verifiedFiles(verification);
  return { files: [...files, ...tried], weights, signature: lines.join('|'), sourceBytes };
}

/** A file that is tried only: where it is missing or broken it is not used, and nothing else suffers. */
async function stateLine(directory: string, file: string): Promise<string> {
  try {
    const { size, mtimeMs, ino } = await factsOf(path.join(directory, file));
    return `${file}:${size}:${Math.floor(mtimeMs)}:${ino}`;
  } catch (error) {
    return `${file}:${messageOf(error)}`;
  }
}
