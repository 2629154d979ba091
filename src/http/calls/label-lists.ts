import type { FastifyReply } from 'fastify';
import type { JsonText } from '../route.js';
import { JSON_TYPE } from './json.js';
import { LARGE_ANSWER_SCORES, slicedBody } from './slices.js';

/** Names of labels, quoted, that are remembered: about 100 KB. */
const KNOWN_NAMES = 512;
/** Length of a piece of a large answer: about half a millisecond of writing. */
const SLICE_CHARACTERS = 64 * 1024;

type List = readonly { readonly label: string; readonly score: number }[];

/**
 * Writes lists of labels with their scores as JSON. By hand: a general serializer takes twice the time of an answer
 * from the cache.
 */
export class LabelLists {
  /** There are few names, and quoting them each time would be most of the work. */
  readonly #quoted = new Map<string, string>();

  /** Replies with one list. */
  sendOne(reply: FastifyReply, list: List): JsonText<unknown> | FastifyReply {
    return this.#send(reply, [list], '', '');
  }

  /** Replies with a list of lists. */
  sendAll(reply: FastifyReply, lists: readonly List[]): JsonText<unknown> | FastifyReply {
    return this.#send(reply, lists, '[', ']');
  }

  #send(reply: FastifyReply, lists: readonly List[], before: string, behind: string) {
    void reply.header('content-type', JSON_TYPE);
    // Every input has as many labels.
    if (lists.length * (lists[0]?.length ?? 0) > LARGE_ANSWER_SCORES) {
      return reply.send(slicedBody(this.#slices(lists, before, behind)));
    }
    let text = before;
    for (const [index, list] of lists.entries())
      text += (index === 0 ? '' : ',') + this.#list(list);
    return (text + behind) as JsonText<unknown>;
  }

  *#slices(lists: readonly List[], before: string, behind: string): Generator<string, void> {
    let slice = before;
    for (const [index, list] of lists.entries()) {
      slice += (index === 0 ? '' : ',') + this.#list(list);
      if (slice.length < SLICE_CHARACTERS) continue;
      yield slice;
      slice = '';
    }
    yield slice + behind;
  }

  #list(list: List): string {
    let items = '';
    for (const { label, score } of list) {
      items += `${items === '' ? '' : ','}{"label":${this.#name(label)},"score":${score}}`;
    }
    return `[${items}]`;
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
