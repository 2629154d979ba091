import type { Answer } from '../../../../contract/classify.js';
import { toMs } from '../../../../contract/units.js';
import type { SessionAnswer } from '../../../../sessions/service.js';
import type { JsonText } from '../../../route.js';

/** Quoted names of models, sessions, users and labels that are remembered: about 100 KB. */
const KNOWN_NAMES = 512;
/** Length of a piece of a large answer: about half a millisecond of writing. */
const SLICE_CHARACTERS = 64 * 1024;

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
    let lists = '';
    for (const list of answer.results) lists += `${lists === '' ? '' : ','}${this.#list(list)}`;
    return (this.#before(answer) + lists + this.#behind(answer, totalMs)) as JsonText<Answer>;
  }

  /** The same text in pieces, for an answer whose whole text would take long to write and much memory. */
  *slices(answer: SessionAnswer, totalMs: number): Generator<string, void> {
    let slice = this.#before(answer);
    for (const [index, list] of answer.results.entries()) {
      slice += `${index === 0 ? '' : ','}${this.#list(list)}`;
      if (slice.length < SLICE_CHARACTERS) continue;
      yield slice;
      slice = '';
    }
    yield slice + this.#behind(answer, totalMs);
  }

  #list(list: SessionAnswer['results'][number]): string {
    let items = '';
    for (const { label, score } of list) {
      items += `${items === '' ? '' : ','}{"label":${this.#name(label)},"score":${score}}`;
    }
    return `[${items}]`;
  }

  #before({ model, session, user }: SessionAnswer): string {
    return `{"model":${this.#name(model)},"session":${this.#name(session)},"user":${this.#name(user)},"results":[`;
  }

  #behind({ truncated, cached, timing }: SessionAnswer, totalMs: number): string {
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

  #name(name: string): string {
    const known = this.#quoted.get(name);
    if (known !== undefined) return known;
    const quoted = JSON.stringify(name);
    if (this.#quoted.size >= KNOWN_NAMES) this.#quoted.clear();
    this.#quoted.set(name, quoted);
    return quoted;
  }
}
