/** A server's scores, held against those of a plain session. */
import type { Answer } from '../../src/contract/classify.js';
import { type Api, describeFailure } from '../harness/api.js';
import type { RawScores } from '../harness/programs/raw-loop.js';

export interface ScoreDifferences {
  /** Largest difference of a score. */
  readonly difference: number;
  /** Texts whose best label is another one. */
  readonly otherLabels: number;
}

/** Asks for all texts, in requests of many sizes. @throws Error if a request fails */
export async function differencesFrom(
  api: Api,
  model: string,
  texts: readonly string[],
  { labels, scores: expected }: RawScores,
  onPart: (done: number) => void = () => undefined,
): Promise<ScoreDifferences> {
  let difference = 0;
  let otherLabels = 0;
  let done = 0;
  for (let size = 1; done < texts.length; size = (size % 53) + 7) {
    onPart(done);
    const part = texts.slice(done, done + size);
    const reply = await api.classify({ model, inputs: part });
    if (reply.status !== 200) throw new Error(describeFailure(reply));
    for (const [row, result] of (reply.body as Answer).results.entries()) {
      const wanted = expected[done + row] ?? [];
      for (const { label, score } of result) {
        difference = Math.max(difference, Math.abs(score - (wanted[labels.indexOf(label)] ?? 9)));
      }
      const top = labels[wanted.indexOf(Math.max(...wanted))];
      if (result[0]?.label !== top) otherLabels += 1;
    }
    done += part.length;
  }
  return { difference, otherLabels };
}
