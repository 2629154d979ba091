import type { FastifyReply } from 'fastify';
import type { JsonText } from '../route.js';
import { JSON_TYPE } from './json.js';
import { type ScoreList, ScoreText } from './score-text.js';
import { LARGE_ANSWER_SCORES, slicedBody } from './slices.js';

/** Replies with lists of labels and their scores. */
export class LabelLists {
  readonly #text = new ScoreText();

  /** Replies with one list. */
  sendOne(reply: FastifyReply, list: ScoreList): JsonText<unknown> | FastifyReply {
    return this.#send(reply, [list], '', '');
  }

  /** Replies with a list of lists. */
  sendAll(reply: FastifyReply, lists: readonly ScoreList[]): JsonText<unknown> | FastifyReply {
    return this.#send(reply, lists, '[', ']');
  }

  #send(reply: FastifyReply, lists: readonly ScoreList[], before: string, behind: string) {
    void reply.header('content-type', JSON_TYPE);
    // Every input has as many labels.
    if (lists.length * (lists[0]?.length ?? 0) > LARGE_ANSWER_SCORES) {
      return reply.send(slicedBody(this.#text.slices(lists, before, behind)));
    }
    return this.#text.of(lists, before, behind) as JsonText<unknown>;
  }
}
