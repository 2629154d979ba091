import type { SessionAnswer } from '../../../sessions/service.js';
import { toMs } from '../../wire.js';

/** Names whose text is remembered: of models, sessions, users and labels. About 100 KB. */
const KNOWN_NAMES = 512;

/**
 * Writes answers as JSON, the same as `JSON.stringify(answerToWire(…))` (a test holds the two together).
 * A known answer is little more than its text: writing it from the answer as it is takes half of what
 * an object for the wire and a general serializer take.
 */
export class AnswerText {
  /** Names as JSON: they are few, and quoting them each time is most of the work. */
  readonly #quoted = new Map<string, string>();

  of({ model, session, user, results, truncated, cached, timing }: SessionAnswer, totalMs: number) {
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
    return (
      `{"model":${this.#name(model)},"session":${this.#name(session)},"user":${this.#name(user)},` +
      `"results":[${lists}],"truncated":[${truncated.join(',')}],"cached":[${tiers}],` +
      `"timing":{${times}}}`
    );
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
