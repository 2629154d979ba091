import { api } from '../../../data/api.js';
import type {
  Answer,
  RerankAnswer,
  TokenClassificationAnswer,
  ZeroShotAnswer,
} from '../../../data/wire.js';
import { linesOf, type Question } from './questions.js';

/** An answer, and of the question what is shown with it. */
export type Answered =
  | { readonly way: 'text' | 'pair'; readonly answer: Answer }
  | { readonly way: 'labels'; readonly answer: ZeroShotAnswer }
  | {
      readonly way: 'documents';
      readonly answer: RerankAnswer;
      readonly documents: readonly string[];
    }
  | {
      readonly way: 'entities';
      readonly answer: TokenClassificationAnswer;
      readonly text: string;
    };

/** Puts the question. @throws ApiError */
export async function ask({ way, model, fields }: Question): Promise<Answered> {
  const { text, second, query } = fields;
  switch (way) {
    case 'text':
      return { way, answer: await api.classify({ model, inputs: text }) };
    case 'pair':
      return { way, answer: await api.classify({ model, inputs: { text, text_pair: second } }) };
    case 'labels': {
      const { template, isMulti } = fields;
      const asked = { candidate_labels: linesOf(fields.labels), hypothesis_template: template };
      const request = { model, inputs: text, ...asked, multi_label: isMulti };
      return { way, answer: await api.zeroShot(request) };
    }
    case 'documents': {
      const documents = linesOf(fields.documents);
      return { way, answer: await api.rerank({ model, query, documents }), documents };
    }
    case 'entities': {
      const request = { model, inputs: text, aggregation_strategy: fields.joining };
      return { way, answer: await api.tokens(request), text };
    }
  }
}
