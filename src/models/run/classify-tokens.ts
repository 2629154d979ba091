/** Texts to entities, by an open model. */
import {
  checkTokenOptions,
  DEFAULT_IGNORED,
  type Entity,
  entitiesOf,
  type TokenOptions,
} from './entities.js';
import type { MappedSession } from './onnx-session.js';
import { hasNotRun, type Logits } from './scores.js';
import type { BoundedRun, ServingPlan } from './serving-plan.js';
import type { EncodedText, TokenEncoder } from './token-encoder.js';
import type { Encoding } from './tokenizer.js';

/** What a text is asked where nothing else is said. */
const BARE: TokenOptions = { aggregation: 'none', ignoreLabels: DEFAULT_IGNORED };

export interface TokenClassifier {
  readonly session: MappedSession;
  readonly encoder: TokenEncoder;
  readonly plan: ServingPlan;
  readonly labels: readonly string[];
  /** @throws PlimsollError for rows that must not run */
  readonly check: (rows: readonly Encoding[]) => void;
}

export interface FoundEntities {
  /** Null: the text did not run, as the run was stopped. */
  readonly rows: readonly (null | {
    readonly entities: readonly Entity[];
    readonly truncated: boolean;
  })[];
  readonly tokenizeMs: number;
  readonly runMs: number;
}

/**
 * The first chunks of all texts run together, as the rows of other models do. Further ones run one by one: they come on
 * top of what the batch was planned to take, and one row of the longest fits in any case.
 *
 * @throws PlimsollError INVALID_REQUEST, INVALID_INPUT, MODEL_UNUSABLE
 */
export async function classifyTokens(
  { session, encoder, plan, labels, check }: TokenClassifier,
  texts: readonly string[],
  options: readonly (TokenOptions | undefined)[] = [],
  bounds?: BoundedRun,
): Promise<FoundEntities> {
  const begun = performance.now();
  const asked = texts.map((_, row) => options[row] ?? BARE);
  asked.forEach(checkTokenOptions);
  const encoded: EncodedText[] = [];
  for (const [row, text] of texts.entries()) {
    encoded.push(await encoder.encode(text, asked[row]?.stride));
  }
  const rowsOf = ({ chunks }: EncodedText) => chunks.map(({ encoding }) => encoding);
  check(encoded.flatMap(rowsOf));
  const tokenized = performance.now();
  const first = encoded.map((text) => rowsOf(text)[0] ?? EMPTY);
  const logits = (await session.runTokens(first, plan, bounds)).map((of): Logits[] => [of]);
  const ranFirst = logits.map(([of]) => !hasNotRun(of));
  for (const [row, text] of encoded.entries()) {
    if (ranFirst[row] !== true) continue;
    for (const chunk of rowsOf(text).slice(1)) {
      const [of] = await session.runTokens([chunk], plan);
      if (of !== undefined) logits[row]?.push(of);
    }
  }
  const ran = performance.now();
  const rows = encoded.map(({ text, chunks, truncated }, row) => {
    if (ranFirst[row] !== true) return null;
    const read = chunks.map(({ tokens }, at) => {
      const of = logits[row]?.[at] ?? new Float32Array();
      return { tokens, before: encoder.before, logits: of };
    });
    const entities = entitiesOf(text, read, labels, encoder.rules, asked[row] ?? BARE);
    return { entities, truncated };
  });
  return { rows, tokenizeMs: tokenized - begun, runMs: ran - tokenized };
}

const EMPTY: Encoding = { ids: [], truncated: false };
