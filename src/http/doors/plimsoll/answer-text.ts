import type { Answer } from '../../../contract/classify.js';
import { toMs } from '../../../contract/units.js';
import type { SessionAnswer } from '../../../sessions/service.js';
import type { JsonText } from '../../route.js';

/** Quoted names of models, sessions, users and labels that are remembered: about 100 KB. */
const KNOWN_NAMES = 512;

/**
 * Writes answers as JSON in the shape of the contract; a test holds it against the schema.
 * An answer from the cache costs little more than its text: writing it by hand takes half the time of
 * building an object for a general serializer.
 */
export class AnswerText {
  /** Names as JSON: there are few, and quoting them each time would be most of the work. */
  readonly #quoted = new Map<string, string>();

  /** @param totalMs from the request's arrival. */
  of(answer: SessionAnswer, totalMs: number): JsonText<Answer> {
    const { model, session, user, results, truncated, cached, timing } = answer;
    let lists = '';
    for (const list of results) {
      let items = '';
      for (const { label, score } of list) {
        items += `${items === '' ? '' : ','}{"label":${this.#name(label)},"score":${score}}`;
      }
      lists += `${lists === '' ? '' : ','}[${items}]`;
    }
    let tiers = '';
    for (const tier of cached) {
      tiers += `${tiers === '' ? '' : ','}${tier === false ? 'false' : `"${tier}"`}`;
    }
    const { queueMs, tokenizeMs, runMs } = timing;
    const times =
      `"queue_ms":${toMs(queueMs)},"tokenize_ms":${toMs(tokenizeMs)},` +
      `"run_ms":${toMs(runMs)},"total_ms":${toMs(totalMs)}`;
    const text =
      `{"model":${this.#name(model)},"session":${this.#name(session)},"user":${this.#name(user)},` +
      `"results":[${lists}],"truncated":[${truncated.join(',')}],"cached":[${tiers}],` +
      `"timing":{${times}}}`;
    return text as JsonText<Answer>;
  }

  #name(name: string): string {
    const known = this.#quoted.get(name);
    if (known !== undefined) return known;
    const quoted = JSON.stringify(name);
    if (this.#quoted.size >= KNOWN_NAMES) this.#quoted.clear();
    this.#quoted.set(name, quoted);
    return quoted;
  }
}
