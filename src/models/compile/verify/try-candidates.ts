/** Tries the faster forms of a model against its fp32 form, in a throw-away process. */
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { messageOf } from '../../../errors.js';
import { cpuFlags } from '../../../system/cpus.js';
import { MappedSession } from '../../run/onnx-session.js';
import { takesPairs } from '../../run/serving-plan.js';
import { type Encoding, TextEncoder } from '../../run/tokenizer.js';
import { bytesOf } from '../forms/written-files.js';
import type { MakeRow } from '../inspect-graph.js';
import type { VerifyJob } from '../preparer-protocol.js';
import { productsOf } from '../quantise/per-token.js';
import type { ProductFacts } from '../quantise/per-token-graph.js';
import { rowMaker } from '../write-form.js';
import { answersOf, type OpenForm, PROBE_BATCH, speedOf } from './answers.js';
import { agreementOf, boundsFor, fasterFirst, isTooSlow, objection } from './judge.js';
import {
  type Candidate,
  integersFor,
  isWorthTrying,
  keptGroups,
  ladderOf,
  type Tried,
} from './ladder.js';
import { makeOwn, makeShipped, type WrittenForm } from './make-candidate.js';
import { builtInProbes, ownProbes, probeKindOf, unlikeNeighbours } from './probe-set.js';
import { type SourceGraph, sourceGraph } from './source-graph.js';
import type { CandidateVerdict, Verdict } from './verdict.js';

/** Tokens of the longest row of the probe set: longer ones say little more and take far longer. */
const MOST_TOKENS = 192;
/** Rows that are run first: what is plainly wrong shows there. */
const FIRST_ROWS = 5 * PROBE_BATCH;
/** Groups of products of which the worst are looked for, and rows that they are compared on. */
const GROUPS = 6;
const GROUP_ROWS = 2 * PROBE_BATCH;

interface Probe {
  readonly rows: readonly Encoding[];
  readonly reference: OpenForm;
  /** Answers of the fp32 form, each row alone; filled as far as they were asked for. */
  readonly answers: (readonly number[])[];
}

interface Trial {
  readonly verdict: CandidateVerdict;
  readonly outcome: Tried['outcome'];
  readonly form?: WrittenForm;
}

/**
 * 1. Candidates are tried in the ladder's order, as long as the time budget lasts.
 * 2. One that is no faster than fp32, or disagrees with it, is not used.
 * 3. Of those that were verified the fastest serves; without one fp32 does.
 *
 * The fast form, if there is one, is in `job.fastFolder` afterwards.
 *
 * @throws PlimsollError MODEL_UNUSABLE if the probes or the fp32 graph cannot be used
 */
export async function tryCandidates(job: VerifyJob): Promise<Verdict> {
  const trials = new Trials(job);
  try {
    return await trials.run();
  } finally {
    await rm(trials.folder, { recursive: true, force: true });
  }
}

class Trials {
  readonly folder: string;
  readonly #job: VerifyJob;
  readonly #begun = performance.now();
  #shifts: readonly number[] | undefined;

  constructor(job: VerifyJob) {
    this.#job = job;
    this.folder = `${job.fastFolder}.trials`;
  }

  async run(): Promise<Verdict> {
    const { source, weights, verification, threads, findings, graphFile, fastFolder } = this.#job;
    const stage = path.join(this.folder, 'source');
    await mkdir(stage, { recursive: true });
    const graph = await sourceGraph(source, weights, stage);
    const products = await productsOf(graph.graphFile);
    const ladder = ladderOf({
      ...{ shipped: verification.shipped, products },
      weightBytes: graph.float32Bytes ?? (await bytesOf(source, weights)),
      integers: integersFor(process.arch, await cpuFlags()),
    });
    const { makeRow, rows } = await this.#rows();
    const session = await MappedSession.open(graphFile, { threads, arena: true, gear: 'hot' });
    const probe: Probe = { rows, reference: { session, plan: findings.plan }, answers: [] };
    const trials: (Trial & { readonly candidate: Candidate })[] = [];
    for (const candidate of ladder) {
      if (!isWorthTrying(candidate, trials)) continue;
      if (this.#isOver()) trials.push({ candidate, ...this.#untried(candidate) });
      else
        trials.push({
          candidate,
          ...(await this.#try(candidate, graph, products, probe, makeRow)),
        });
    }
    await session.release();
    const best = trials
      .filter(({ outcome }) => outcome === 'verified')
      .sort((a, b) =>
        a.verdict.speed && b.verdict.speed ? fasterFirst(a.verdict.speed, b.verdict.speed) : 0,
      )[0];
    if (best?.form !== undefined) await rename(best.form.folder, fastFolder);
    return this.#verdict(trials, best);
  }

  /** Rows in the order in which they are neighbours. */
  async #rows(): Promise<{ readonly makeRow: MakeRow; readonly rows: readonly Encoding[] }> {
    const { tokenizer, findings, source, verification } = this.#job;
    const most = Math.min(MOST_TOKENS, findings.memoryCap?.tokens ?? findings.maxTokens);
    const encoder = await TextEncoder.open(tokenizer, most, findings.tokenizer);
    const own = verification.hasProbes ? await ownProbes(source) : [];
    const kind = probeKindOf(this.#job.labels, takesPairs(findings));
    const encodings = await encoder.encodeAll([...own, ...builtInProbes(kind)]);
    const lengths = encodings.map(({ ids }) => ids.length);
    const rows = unlikeNeighbours(lengths, PROBE_BATCH).flatMap((at) => encodings[at] ?? []);
    return { makeRow: await rowMaker(encoder), rows };
  }

  async #try(
    candidate: Candidate,
    graph: SourceGraph,
    products: readonly ProductFacts[],
    probe: Probe,
    makeRow: MakeRow,
  ): Promise<Trial> {
    const { form } = candidate;
    let written: WrittenForm | undefined;
    try {
      written = await this.#make(candidate, graph, products, probe, makeRow);
      const trial = await this.#judge(candidate, written, probe);
      await written.session.release();
      if (trial.outcome !== 'verified') await rm(written.folder, { recursive: true, force: true });
      return trial;
    } catch (error) {
      await written?.session.release();
      const reason = messageOf(error).slice(0, 300);
      return { outcome: 'broken', verdict: { form, outcome: 'refused', reason } };
    }
  }

  async #make(
    candidate: Candidate,
    source: SourceGraph,
    products: readonly ProductFacts[],
    probe: Probe,
    makeRow: MakeRow,
  ): Promise<WrittenForm> {
    const { findings, threads, inspect, source: folder } = this.#job;
    const making = { source, threads, plan: findings.plan };
    const place = path.join(this.folder, candidate.form.replaceAll(/[^a-z0-9]+/gi, '-'));
    if (candidate.kind === 'shipped') {
      const files = { source: folder, weights: candidate.weights };
      return makeShipped(making, place, files, inspect, makeRow);
    }
    const { integers: weights, embeddings, keptShare } = candidate;
    if (keptShare === 0) return makeOwn(making, place, { weights, embeddings });
    const groups = groupsOf(products);
    this.#shifts ??= await this.#shiftsOf(groups, candidate, source, probe);
    const kept = keptGroups(this.#shifts, keptShare);
    const keep = new Set(groups.flatMap((group, at) => (kept.has(at) ? group : [])));
    return makeOwn(making, place, { weights, embeddings, keep });
  }

  /** How far each group of products, alone as integers, moves scores. */
  async #shiftsOf(
    groups: readonly (readonly string[])[],
    { integers: weights }: { readonly integers: 'int8' | 'int7' | 'uint8' },
    source: SourceGraph,
    probe: Probe,
  ): Promise<readonly number[]> {
    const { findings, threads, labelling, verification } = this.#job;
    const making = { source, threads, plan: findings.plan };
    const shifts: number[] = [];
    for (const [at, group] of groups.entries()) {
      // Without time for the rest its order is unknown: the first and the last groups count as the worst.
      if (this.#isOver()) return groups.map((_, n) => Math.abs(n - (groups.length - 1) / 2));
      const keep = new Set(groups.flat().filter((name) => !group.includes(name)));
      const form = await makeOwn(making, path.join(this.folder, `group-${at}`), { weights, keep });
      const rows = probe.rows.slice(0, GROUP_ROWS);
      const alone = await answersOf(form, rows, labelling, 1);
      await form.session.release();
      await rm(form.folder, { recursive: true, force: true });
      const answers = {
        reference: await this.#reference(probe, rows.length),
        alone,
        batched: alone,
      };
      shifts.push(agreementOf(answers, labelling, verification.bounds).shift);
    }
    return shifts;
  }

  /** Speed first, then a few rows, then all of them. */
  async #judge({ form, kind }: Candidate, written: WrittenForm, probe: Probe): Promise<Trial> {
    const { labelling, verification, findings } = this.#job;
    const { bounds } = verification;
    if (
      written.plan.labelCount !== findings.plan.labelCount ||
      fixed(written) !== fixed(probe.reference)
    ) {
      const reason = 'its graph takes or gives other shapes than the fp32 one';
      return { outcome: 'broken', verdict: { form, outcome: 'refused', reason } };
    }
    const batch = probe.rows.slice(0, Math.min(PROBE_BATCH, this.#job.batchItems));
    const row = [...probe.rows].sort((a, b) => a.ids.length - b.ids.length)[
      Math.floor(probe.rows.length / 2)
    ];
    if (row === undefined) throw new Error('there are no probes');
    const speed = await speedOf(probe.reference, written, row, batch);
    const tooSlow = isTooSlow(speed, bounds);
    // Whoever made a graph wants to know whether it is right, fast or not; ours are of no use then.
    if (tooSlow !== undefined && kind === 'own') {
      return { outcome: 'slower', verdict: { form, outcome: 'refused', reason: tooSlow, speed } };
    }
    for (const count of [FIRST_ROWS, probe.rows.length]) {
      if (this.#isOver()) return this.#untried({ form });
      const rows = probe.rows.slice(0, count);
      const [alone, batched] = [
        await answersOf(written, rows, labelling, 1),
        await answersOf(written, rows, labelling, PROBE_BATCH),
      ];
      const reference = await this.#reference(probe, rows.length);
      const agreement = agreementOf({ reference, alone, batched }, labelling, bounds);
      const reason = objection(agreement, boundsFor(rows.length, probe.rows.length, bounds));
      if (reason !== undefined) {
        return {
          outcome: 'disagrees',
          verdict: { form, outcome: 'refused', reason, speed, agreement },
        };
      }
      if (count >= probe.rows.length && tooSlow !== undefined) {
        const verdict = { form, outcome: 'refused', reason: tooSlow, speed, agreement } as const;
        return { outcome: 'slower', verdict };
      }
      if (count >= probe.rows.length) {
        const verdict = {
          form,
          outcome: 'verified',
          reason: agreed(agreement),
          speed,
          agreement,
        } as const;
        return { outcome: 'verified', verdict, form: written };
      }
    }
    return this.#untried({ form });
  }

  /** The fp32 form's answers to the first rows. */
  async #reference({ rows, reference, answers }: Probe, count: number) {
    const missing = rows.slice(answers.length, count);
    answers.push(...(await answersOf(reference, missing, this.#job.labelling, 1)));
    return answers.slice(0, count);
  }

  #isOver(): boolean {
    return performance.now() - this.#begun > this.#job.budgetMs;
  }

  #untried({ form }: { readonly form: string }): Trial {
    const reason = `the time budget of ${this.#job.budgetMs} ms was used up (verify.budget_ms)`;
    return { outcome: 'broken', verdict: { form, outcome: 'not tried', reason } };
  }

  #verdict(trials: readonly Trial[], best: Trial | undefined): Verdict {
    const { bounds } = this.#job.verification;
    const candidates = trials.map(({ verdict }): CandidateVerdict => {
      return verdict === best?.verdict ? { ...verdict, outcome: 'used' } : verdict;
    });
    const took = {
      bounds,
      candidates,
      ms: Math.round(performance.now() - this.#begun),
      atMs: Date.now(),
    };
    if (best?.form === undefined) {
      const reason =
        candidates.length === 0 ? 'there is no faster form to try' : 'no faster form was verified';
      const isUnfinished = candidates.some(({ outcome }) => outcome === 'not tried');
      const again = { budgetMs: this.#job.budgetMs, attempts: 1 };
      const verdict = { form: 'fp32', serves: 'reference', reason, ...took } as const;
      return isUnfinished ? { ...verdict, again } : verdict;
    }
    const { form: name, reason } = best.verdict;
    const { plan, digest } = best.form;
    return { form: name, serves: 'fast', reason, ...took, plan, digest };
  }
}

function fixed({ plan }: OpenForm): string {
  return `${plan.fixedRows} ${plan.fixedLength}`;
}

function agreed({ labels, rows, shift }: { labels: number; rows: number; shift: number }): string {
  return `verified: ${labels.toFixed(1)} % of ${rows} labels as fp32, scores within ${shift.toPrecision(2)}`;
}

/** Products of neighbouring layers. */
function groupsOf(products: readonly ProductFacts[]): readonly (readonly string[])[] {
  const size = Math.ceil(products.length / GROUPS);
  return Array.from({ length: Math.ceil(products.length / size) }, (_, at) =>
    products.slice(at * size, (at + 1) * size).map(({ name }) => name),
  );
}
