/** A model folder served without a server: read, compiled and run in this process, as the parts of it do it. */
import path from 'node:path';
import { safetensorsCompiler } from '../../../src/models/compile/can-compile.js';
import type { WriteJob } from '../../../src/models/compile/preparer-protocol.js';
import { writeForm } from '../../../src/models/compile/write-form.js';
import { describe as described } from '../../../src/models/intake/description.js';
import { type Model, ModelRepository } from '../../../src/models/intake/repository.js';
import { inDirectory } from '../../../src/models/intake/tokenizer-files.js';
import type { Bounds } from '../../../src/models/intake/verification.js';
import { classifyTokens, type FoundEntities } from '../../../src/models/run/classify-tokens.js';
import type { TokenOptions } from '../../../src/models/run/entities.js';
import { MappedSession } from '../../../src/models/run/onnx-session.js';
import type { RowInput } from '../../../src/models/run/row-input.js';
import { scoresOf } from '../../../src/models/run/scores.js';
import { type Findings, readingOf } from '../../../src/models/run/serving-plan.js';
import { TokenEncoder } from '../../../src/models/run/token-encoder.js';
import { TextEncoder } from '../../../src/models/run/tokenizer.js';
import { comparedOnce } from './compared-once.js';

export interface Served {
  readonly model: Model;
  readonly job: WriteJob;
  readonly findings: Findings;
  readonly encoder: TextEncoder;
  readonly labels: readonly string[];
  /** Scores of texts that are run together, by label. */
  readonly ask: (
    texts: readonly RowInput[],
  ) => Promise<readonly Readonly<Record<string, number>>[]>;
  /** The same in the hot gear. */
  readonly askHot: Served['ask'];
  /** Entities of texts that are run together, of a model that classifies tokens. */
  readonly entitiesOf: (
    texts: readonly string[],
    options: readonly TokenOptions[],
  ) => Promise<FoundEntities['rows']>;
  readonly release: () => Promise<void>;
}

/** @throws PlimsollError as the server would */
export async function served(
  root: string,
  id: string,
  scratch: string,
  bounds?: Bounds,
): Promise<Served> {
  const repository = new ModelRepository(root, 'auto', safetensorsCompiler, bounds);
  const model = await repository.find(id);
  const { description: of, declaration, directory, files, weights, dtype } = model;
  const tokenizer = inDirectory(directory, model.tokenizer);
  const graphFile = path.join(scratch, 'form', 'model.onnx');
  const { padTokenId, padTypeId, positionOffset, paddingSide, maxTokens } = of;
  const job: WriteJob = {
    ...{ job: 'write', source: directory, files, weights, tokenizer, graphFile },
    ...{ weightsFile: 'weights.bin', threads: 1, budget: { bytes: 2 ** 31, ms: 60_000 } },
    inspect: {
      ...{ dtype, maxTokens, padTokenId, padTypeId, positionOffset, paddingSide },
      perToken: of.task === 'token-classification',
      labels: declaration.overrides.labels?.length ?? declaration.labels.count,
    },
  };
  const { findings } = await writeForm(job, comparedOnce);
  const { plan } = findings;
  const {
    labels,
    scoring,
    maxTokens: fits,
    truncationSide,
  } = described(declaration, {
    ...findings,
    ...readingOf(plan),
  });
  const encoder = await TextEncoder.open(tokenizer, fits, {
    ...findings.tokenizer,
    truncationSide,
  });
  const session = await MappedSession.open(graphFile, { threads: 1, arena: false });
  const hot = await MappedSession.open(graphFile, { threads: 1, arena: false, gear: 'hot' });
  const asking = (open: MappedSession) => async (texts: readonly RowInput[]) => {
    const logits = await open.run(await encoder.encodeAll(texts), plan);
    return scoresOf(logits, plan.labelCount, scoring).map((scores) =>
      Object.fromEntries(labels.map((label, at) => [label, scores[at] ?? Number.NaN])),
    );
  };
  const entitiesOf: Served['entitiesOf'] = async (texts, options) => {
    const tokens = await TokenEncoder.open(encoder);
    const classifier = { session, encoder: tokens, plan, labels, check: () => undefined };
    return (await classifyTokens(classifier, texts, options)).rows;
  };
  const release = async () => {
    await session.release();
    await hot.release();
  };
  const [ask, askHot] = [asking(session), asking(hot)];
  return { model, job, findings, encoder, labels, ask, askHot, entitiesOf, release };
}
