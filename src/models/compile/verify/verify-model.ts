/** Has the faster forms of a model tried in a throw-away process. */
import path from 'node:path';
import { PlimsollError } from '../../../errors.js';
import { describe, thresholdOf } from '../../intake/description.js';
import type { Model } from '../../intake/repository.js';
import { type Findings, readingOf } from '../../run/serving-plan.js';
import type { FormFile } from '../forms/checksums.js';
import { FAST_FORM } from '../mapped-form.js';
import type { PreparerProcesses } from '../preparer-processes.js';
import type { VerifyJob, WriteJob } from '../preparer-protocol.js';
import { referenceVerdict, unfinishedVerdict, type Verdict } from './verdict.js';

/** Time after which no further form of a model is tried, if no other is set. */
export const DEFAULT_BUDGET_MS = 20_000;

/** What the trials have shown; nothing where there is nothing to try. */
export interface Verified {
  readonly verdict?: Verdict;
  /** Files of the fast form. */
  readonly files: readonly FormFile[];
}

/**
 * Whatever goes wrong, fp32 serves, and the verdict says why, and that the comparison is to be made again.
 *
 * @throws PlimsollError SHUTTING_DOWN
 */
export async function verifyModel(
  processes: PreparerProcesses,
  model: Model,
  written: WriteJob,
  findings: Findings,
  limits: { readonly batchItems: number; readonly budgetMs: number },
): Promise<Verified> {
  const { verification } = model;
  if (verification === undefined) return { files: [] };
  if (findings.plan.perToken === true) {
    const reason =
      'no faster form is tried: forms are compared by the labels of texts, and this model classifies tokens';
    return { verdict: referenceVerdict(verification.bounds, reason), files: [] };
  }
  const { source, weights, tokenizer, inspect, graphFile, threads } = written;
  const measured = { ...findings, ...readingOf(findings.plan) };
  const description = describe(model.declaration, measured);
  const { labels, scoring } = description;
  const job: VerifyJob = {
    ...{ job: 'verify', source, weights, tokenizer, inspect, verification, graphFile, threads },
    ...{ fastFolder: path.join(path.dirname(graphFile), FAST_FORM), findings, ...limits },
    labels,
    labelling: { scoring, thresholds: labels.map((label) => thresholdOf(description, label)) },
  };
  try {
    const { verdict, files } = await processes.ask(job, 'verified');
    return { verdict, files };
  } catch (error) {
    if (!(error instanceof PlimsollError) || error.code === 'SHUTTING_DOWN') throw error;
    const reason = `not verified: ${error.message}`;
    const verdict = unfinishedVerdict(verification.bounds, reason, limits.budgetMs);
    return { verdict, files: [] };
  }
}
