import type { Answer } from '../../../../contract/classify.js';
import { toMs } from '../../../../contract/units.js';
import type { SessionAnswer } from '../../../../sessions/service.js';
import { ScoreText } from '../../../calls/score-text.js';
import type { JsonText } from '../../../route.js';

/**
 * Writes answers as JSON in the shape of the contract; a test holds it against the schema.
 * An answer from the cache costs little more than its text: writing it by hand takes half the time of
 * building an object for a general serializer.
 */
export class AnswerText {
  readonly #text = new ScoreText();

  /** @param totalMs from the request's arrival. */
  of(answer: SessionAnswer, totalMs: number): JsonText<Answer> {
    const [before, behind] = [this.#before(answer), behindOf(answer, totalMs)];
    return this.#text.of(answer.results, before, behind) as JsonText<Answer>;
  }

  /** The same text in pieces. */
  slices(answer: SessionAnswer, totalMs: number): Generator<string, void> {
    return this.#text.slices(answer.results, this.#before(answer), behindOf(answer, totalMs));
  }

  #before({ model, session, user }: SessionAnswer): string {
    const [of, by, who] = [this.#text.name(model), this.#text.name(session), this.#text.name(user)];
    return `{"model":${of},"session":${by},"user":${who},"results":[`;
  }
}

function behindOf({ truncated, cached, timing }: SessionAnswer, totalMs: number): string {
  let tiers = '';
  for (const tier of cached) {
    tiers += `${tiers === '' ? '' : ','}${tier === false ? 'false' : `"${tier}"`}`;
  }
  const { queueMs, tokenizeMs, runMs } = timing;
  const times =
    `"queue_ms":${toMs(queueMs)},"tokenize_ms":${toMs(tokenizeMs)},` +
    `"run_ms":${toMs(runMs)},"total_ms":${toMs(totalMs)}`;
  return `],"truncated":[${truncated.join(',')}],"cached":[${tiers}],"timing":{${times}}}`;
}
